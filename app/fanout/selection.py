"""Which endpoints a request needs, and which it misses. Pure."""

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec.structs import replace

from app.config.expressions import expression
from app.endpoints.model import Api, EndpointInfo, EndpointView, Labels, Snapshot, State
from app.errors import CallError, Code
from app.fanout.tsdb_selector import EVERY_TSDB, TsdbSelector
from app.pb.thanos import LabelMatcher, LabelMatcherType

ADDRESS = "__address__"
"""The label of endpoints that `StoreMatchers` are about."""

Predicate = Callable[[str], bool]


class Matcher(msgspec.Struct, frozen=True):
    """A compiled matcher: the name, and what it says of a value ("" where the label is absent)."""

    name: str
    matches: Predicate


StoreMatchers = tuple[Matcher, ...]
"""Matchers on ``__address__``, all of which an endpoint has to match; those on other names match all."""


def compiled(matcher: LabelMatcher) -> Matcher:
    """A matcher ready to be asked. Expressions are RE2's, anchored, and a dot matches a newline.

    :raises CallError: INVALID_ARGUMENT, naming an expression that is not one.
    """
    value = matcher.value
    if matcher.type is LabelMatcherType.EQ:
        return Matcher(matcher.name, lambda other: other == value)
    if matcher.type is LabelMatcherType.NEQ:
        return Matcher(matcher.name, lambda other: other != value)
    try:
        anchored = expression(value)
    except ValueError as error:
        raise CallError(Code.INVALID_ARGUMENT, f"matcher on {matcher.name!r}: {error}") from None
    if matcher.type is LabelMatcherType.RE:
        return Matcher(matcher.name, lambda other: anchored.fullmatch(other) is not None)
    return Matcher(matcher.name, lambda other: anchored.fullmatch(other) is None)


class Selected(msgspec.Struct, frozen=True):
    """Matchers of a request against the querier's own labels.

    :param matches: False: the querier's labels contradict a matcher, so the answer is empty.
    :param remaining: positions of the matchers that go to the endpoints.
    """

    matches: bool
    remaining: tuple[int, ...]


def against_selector(matchers: Sequence[Matcher], selector_labels: Labels) -> Selected:
    """Which matchers the querier's own labels decide."""
    own = dict(selector_labels)
    remaining = []
    for position, matcher in enumerate(matchers):
        if matcher.name not in own:
            remaining.append(position)
        elif not matcher.matches(own[matcher.name]):
            return Selected(False, ())
    return Selected(True, tuple(remaining))


def can_match(info: EndpointInfo, matchers: Sequence[Matcher], min_time: int, max_time: int) -> bool:
    """Whether an endpoint can hold what is asked for: by time, and by one of its label sets.

    A label set speaks only about the names in it: the endpoint's series have others too.
    """
    if min_time > info.max_time or max_time < info.min_time:
        return False
    if not info.label_sets:
        return True
    return any(_compatible(dict(labels), matchers) for labels in info.label_sets)


def _compatible(labels: dict[str, str], matchers: Iterable[Matcher]) -> bool:
    return all(matcher.matches(labels[matcher.name]) for matcher in matchers if matcher.name in labels)


class Choice(msgspec.Struct, frozen=True):
    """
    :param asked: endpoints that the request goes to.
    :param missing: endpoints that may hold an answer and are not asked, being unhealthy, and that no healthy
        replica stands in for.
    :param matchers: what they are asked beside the request, some of their label sets being left out.
    """

    asked: tuple[EndpointView, ...]
    missing: tuple[EndpointView, ...]
    matchers: tuple[LabelMatcher, ...] = ()


def choose(
    snapshot: Snapshot,
    matchers: Sequence[Matcher],
    min_time: int,
    max_time: int,
    replica_labels: frozenset[str],
    api: Api = Api.STORE,
    store_matchers: Sequence[StoreMatchers] = (),
    tsdb_selector: TsdbSelector = EVERY_TSDB,
) -> Choice:
    """Which endpoints are asked, and which are missed (rule 8).

    An endpoint of which nothing is known, never having answered or been forgotten, may hold anything.

    :param replica_labels: labels that tell replicas apart; without them equal label sets are the same data.
    :param api: what they must offer.
    :param store_matchers: any of them has to match; none: every endpoint may be asked.
    :param tsdb_selector: which of their label sets are asked.
    """
    asked: list[EndpointView] = []
    absent: list[EndpointView] = []
    for view in snapshot.endpoints:
        info = view.info
        if not _named(view.address, store_matchers):
            continue
        if info is not None and (api not in info.apis or not can_match(info, matchers, min_time, max_time)):
            continue
        if tsdb_selector.restricting and info is not None:
            label_sets = tsdb_selector.kept(info.label_sets)
            if label_sets is None:
                continue
            view = replace(view, info=replace(info, label_sets=label_sets))
        if view.asked:
            asked.append(view)
        elif view.state is not State.NEW or view.last_error:
            absent.append(view)
    covered = {
        labels for view in asked if view.state is State.HEALTHY for labels in _without(view, replica_labels)
    }
    missing = tuple(view for view in absent if not _covered(view, replica_labels, covered))
    label_sets_asked = (labels for view in asked if view.info is not None for labels in view.info.label_sets)
    return Choice(tuple(asked), missing, tuple(tsdb_selector.matchers(label_sets_asked)))


def _named(address: str, store_matchers: Sequence[StoreMatchers]) -> bool:
    """Whether the client wants this endpoint."""
    own = {ADDRESS: address}
    return not store_matchers or any(_compatible(own, each) for each in store_matchers)


def _without(view: EndpointView, replica_labels: frozenset[str]) -> list[Labels]:
    if view.info is None:
        return []
    return [
        tuple(label for label in labels if label[0] not in replica_labels) for labels in view.info.label_sets
    ]


def _covered(view: EndpointView, replica_labels: frozenset[str], covered: set[Labels]) -> bool:
    own = _without(view, replica_labels)
    return bool(own) and all(labels in covered for labels in own)
