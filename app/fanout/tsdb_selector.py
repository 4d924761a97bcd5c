"""Which label sets of the endpoints are asked, by relabeling rules (`--selector.relabel-config`). Pure."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache

from app.config.expressions import expression
from app.config.model import RelabelRule
from app.endpoints.model import Labels
from app.pb.thanos import LabelMatcher, LabelMatcherType

REMEMBERED = 10_000
"""Label sets of which it is remembered whether they are kept."""
_ABSENT = "^$"
_QUOTED = str.maketrans({character: f"\\{character}" for character in r"\.+*?()|[]{}^$"})


class TsdbSelector:
    """Immutable but for what it remembers.

    :param rules: applied in their order; without any everything is kept.
    """

    def __init__(self, rules: Iterable[RelabelRule] = ()) -> None:
        self._steps = tuple((rule, expression(rule.regex)) for rule in rules)
        self._keeps = lru_cache(REMEMBERED)(self._decide)

    @property
    def restricting(self) -> bool:
        """Whether there are rules."""
        return bool(self._steps)

    def kept(self, label_sets: tuple[Labels, ...]) -> tuple[Labels, ...] | None:
        """The label sets of an endpoint that are kept; None: nothing is asked of it.

        An endpoint without label sets is asked: there is nothing that the rules could judge.
        """
        if not self._steps or not label_sets:
            return label_sets
        return tuple(labels for labels in label_sets if self._keeps(labels)) or None

    def keeps(self, labels: Labels) -> bool:
        """Whether one label set is kept."""
        return not self._steps or self._keeps(labels)

    def matchers(self, label_sets: Iterable[Labels]) -> list[LabelMatcher]:
        """What is asked of the endpoints beside the request, so that those with several label sets answer for
        the kept ones: of each name the values, and emptiness where a label set lacks it.

        As in Thanos they are the same for all endpoints, and admit combinations that no label set has. Values
        are quoted, which Thanos does not do.

        :param label_sets: kept ones, of all endpoints that are asked.
        """
        if not self._steps:
            return []
        count, carried, values = 0, dict[str, int](), dict[str, set[str]]()
        for labels in label_sets:
            count += 1
            for name, value in labels:
                carried[name] = carried.get(name, 0) + 1
                values.setdefault(name, set()).add(value.translate(_QUOTED))
        for name, times in carried.items():
            if times < count:
                values[name].add(_ABSENT)
        return [
            LabelMatcher(type=LabelMatcherType.RE, name=name, value="|".join(sorted(values[name])))
            for name in sorted(values)
        ]

    def _decide(self, labels: Labels) -> bool:
        known = dict(labels)
        for rule, matches in self._steps:
            value = rule.separator.join(known.get(name, "") for name in rule.source_labels)
            if rule.action == "hashmod":
                known[rule.target_label] = str(_hash(value) % rule.modulus)
            elif (matches.fullmatch(value) is not None) != (rule.action == "keep"):
                return False
        return True


def _hash(value: str) -> int:
    """Prometheus's: the last half of the MD5."""
    digest = hashlib.md5(value.encode("utf-8", "surrogateescape"), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "big")


EVERY_TSDB = TsdbSelector()
"""Keeps everything."""
