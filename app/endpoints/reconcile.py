"""What to do to the running groups so that they become the wanted ones. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from app.config.model import EndpointGroup


class Plan(msgspec.Struct, frozen=True):
    """:param kept: name of a running group and what it becomes; its channels stay open.
    :param stopped: names of running groups.
    """

    kept: tuple[tuple[str, EndpointGroup], ...]
    stopped: tuple[str, ...]
    started: tuple[EndpointGroup, ...]


def reconcile(running: Mapping[str, EndpointGroup], wanted: Sequence[EndpointGroup]) -> Plan:
    """Match the groups.

    Content goes before name: an unnamed group is named after its place in the file, and would otherwise
    become another one when an item is put before it. A group of the same name and another `tls_config` is
    another realm, and starts anew, as does one whose channels must be made otherwise; other changes are
    applied to the running group. One that has got another name and other endpoints is still the same when it
    is reached alike and one of its endpoints is the same.
    """
    left = dict(running)
    matches: dict[str, str] = {}
    for group in wanted:
        same = left.get(group.name)
        if same is not None and same == group:
            matches[group.name] = group.name
            del left[group.name]
    twins: dict[EndpointGroup, list[str]] = {}
    for name, each in left.items():
        twins.setdefault(_content(each), []).append(name)
    for group in wanted:
        if group.name not in matches and (names := twins.get(_content(group))):
            matches[group.name] = names.pop(0)
            del left[matches[group.name]]
    for group in wanted:
        same = left.get(group.name)
        if group.name not in matches and same is not None and _reached_alike(same, group):
            matches[group.name] = group.name
            del left[group.name]
    for group in wanted:
        if group.name not in matches:
            relative = next((name for name, each in left.items() if _related(each, group)), None)
            if relative is not None:
                matches[group.name] = relative
                del left[relative]
    return Plan(
        kept=tuple((matches[group.name], group) for group in wanted if group.name in matches),
        stopped=tuple(left),
        started=tuple(group for group in wanted if group.name not in matches),
    )


def _content(group: EndpointGroup) -> EndpointGroup:
    return msgspec.structs.replace(group, name="")


def _related(one: EndpointGroup, other: EndpointGroup) -> bool:
    return _reached_alike(one, other) and not set(one.endpoints).isdisjoint(other.endpoints)


def _reached_alike(one: EndpointGroup, other: EndpointGroup) -> bool:
    """Whether channels of the one serve the other."""
    if (one.tls, one.compression) != (other.tls, other.compression):
        return False
    return all(
        (each in one.balanced) == (each in other.balanced) for each in {*one.endpoints} & {*other.endpoints}
    )
