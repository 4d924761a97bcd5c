"""What a client may see of all that there is. Pure."""

from collections.abc import Iterable

import msgspec

from app.endpoints.model import Labels
from app.fanout.selection import Matcher, against_selector, compiled
from app.pb.thanos import LabelMatcher, LabelMatcherType

MatcherText = tuple[str, str, str]
"""Operator, name and value."""

_TYPES = {
    "=": LabelMatcherType.EQ,
    "!=": LabelMatcherType.NEQ,
    "=~": LabelMatcherType.RE,
    "!~": LabelMatcherType.NRE,
}


class Scope(msgspec.Struct, frozen=True):
    """What all matchers match, an absent label being an empty one; everything where there are none.

    :param matchers: as endpoints are sent them.
    :param compiled: the same, ready to be asked.
    """

    texts: tuple[MatcherText, ...] = ()
    matchers: tuple[LabelMatcher, ...] = ()
    compiled: tuple[Matcher, ...] = ()

    @property
    def restricted(self) -> bool:
        """Whether it is not everything."""
        return bool(self.texts)

    def shows(self, labels: Iterable[tuple[str, str]]) -> bool:
        """Whether something with these labels may be seen."""
        known = dict(labels)
        return all(matcher.matches(known.get(matcher.name, "")) for matcher in self.compiled)

    def may_show(self, label_set: Labels) -> bool:
        """Whether something behind an endpoint with these external labels may be; it has other labels too."""
        known = dict(label_set)
        return all(matcher.matches(known[matcher.name]) for matcher in self.compiled if matcher.name in known)

    def within(self, own: Labels) -> "Scope | None":
        """What is left to be asked where everything has the labels `own`; None: nothing may be seen."""
        selected = against_selector(self.compiled, own)
        return scope_of(self.texts[position] for position in selected.remaining) if selected.matches else None


EVERYTHING = Scope()


def scope_of(texts: Iterable[MatcherText]) -> Scope:
    """What all of some matchers match.

    :raises CallError: one is no regular expression.
    """
    given = tuple(texts)
    matchers = tuple(LabelMatcher(type=_TYPES[op], name=name, value=value) for op, name, value in given)
    return Scope(given, matchers, tuple(compiled(matcher) for matcher in matchers))
