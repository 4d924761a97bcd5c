"""Matchers as Prometheus's HTTP API takes them: a series selector. Pure."""

import re
from collections.abc import Sequence

from app.pb.thanos import LabelMatcher, LabelMatcherType

_LEGACY_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATORS = {
    LabelMatcherType.EQ: "=",
    LabelMatcherType.NEQ: "!=",
    LabelMatcherType.RE: "=~",
    LabelMatcherType.NRE: "!~",
}


def selector(matchers: Sequence[LabelMatcher]) -> str:
    """``{job="a", zone=~"b.*"}``; names that are no identifiers are quoted, which needs Prometheus 3."""
    parts = (f"{_name(each.name)}{_OPERATORS[each.type]}{quoted(each.value)}" for each in matchers)
    return f"{{{', '.join(parts)}}}"


def _name(name: str) -> str:
    return name if _LEGACY_NAME.fullmatch(name) else quoted(name)


def quoted(text: str) -> str:
    """A string of PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def seconds(milliseconds: int) -> str:
    """A time as a parameter. Times that no date can have are cut off, as the API refuses them."""
    bounded = min(max(milliseconds, -62_135_596_800_000), 253_402_300_799_999)
    return f"{bounded / 1000:.3f}"


def escaped_name(name: str) -> str:
    """A label's name as a part of a path: what is no identifier is escaped, which needs Prometheus 3."""
    if _LEGACY_NAME.fullmatch(name):
        return name
    return "U__" + "".join(_escaped(character) for character in name)


def _escaped(character: str) -> str:
    if character == "_":
        return "__"
    return character if character.isascii() and character.isalnum() else f"_{ord(character):x}_"
