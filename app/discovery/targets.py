"""One file of file SD, in Prometheus's format. Pure: bytes in, addresses out."""

from typing import Any

import msgspec
import yaml

from app.config.addresses import check_address
from app.config.yaml_file import NestedTooDeeply, check_depth

SUFFIXES = (".json", ".yaml", ".yml")
"""Names that are read; Prometheus takes the same."""

MAX_DEPTH = 10
"""Of lists and mappings in YAML; a list of target groups has four."""


class TargetsError(ValueError):
    """A file that is not a list of target groups. The message says why, in one line."""


class TargetList(msgspec.Struct, frozen=True):
    """What one file says.

    :param addresses: those that are addresses, in the order written; repetitions are kept.
    :param faults: a sentence for each target that is no address.
    """

    addresses: tuple[str, ...]
    faults: tuple[str, ...] = ()


class _TargetGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    targets: list[str] = []
    # Labels of targets mean nothing to a querier: what counts are the external labels that Info tells.
    labels: dict[str, Any] | None = None


def parse_targets(raw: bytes, *, json: bool) -> TargetList:
    """The addresses in `raw`.

    An empty list is a list. An empty file is not: writers that truncate before they write leave one for a
    moment, and taking it would remove every endpoint.

    :raises TargetsError: it is not, as a whole, a list of ``{targets, labels}``.
    """
    if not raw.strip():
        raise TargetsError("the file is empty; write [] for no targets")
    try:
        groups = _decoded(raw, json=json)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TargetsError(_one_line(str(error))) from error
    except NestedTooDeeply as error:
        raise TargetsError(f"{error} for a list of target groups") from None
    except yaml.YAMLError as error:
        raise TargetsError(_one_line(str(error))) from error
    addresses, faults = [], []
    for group in groups:
        for target in group.targets:
            try:
                check_address(target)
            except ValueError as error:
                faults.append(str(error))
            else:
                addresses.append(target)
    return TargetList(tuple(addresses), tuple(faults))


def _decoded(raw: bytes, *, json: bool) -> list[_TargetGroup]:
    if json:
        return msgspec.json.decode(raw, type=list[_TargetGroup])
    check_depth(raw, MAX_DEPTH)
    # A comment alone gives None, which conversion refuses: it is no list either.
    return msgspec.convert(yaml.load(raw, Loader=yaml.CSafeLoader), list[_TargetGroup])


def _one_line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())[:300]
