"""The series selectors in a PromQL expression, found without understanding the rest of it. Pure.

What matters here is which series an expression speaks of. Names of functions, aggregations and keywords are
told from names of metrics by what follows them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.config.selector_labels import unquoted
from app.pb.thanos import LabelMatcher, LabelMatcherType

MAX_LENGTH = 1 << 20
"""Characters of an expression."""

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<number>[0-9.][0-9a-zA-Z_.]*)
    |(?P<operator>=~|!~|!=|==|>=|<=|.)""",
    re.VERBOSE | re.DOTALL,
)
_OPERATORS = {
    "=": LabelMatcherType.EQ,
    "!=": LabelMatcherType.NEQ,
    "=~": LabelMatcherType.RE,
    "!~": LabelMatcherType.NRE,
}
_SIGNS = {kind: sign for sign, kind in _OPERATORS.items()}
# Words that are followed by a list of labels, and words that stand alone.
_LISTS = frozenset(("by", "without", "on", "ignoring", "group_left", "group_right"))
_WORDS = frozenset(("bool", "offset", "and", "or", "unless", "atan2", "inf", "nan"))
_LEGACY_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = "__name__"


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse_selector(text: str) -> list[LabelMatcher]:
    """The matchers of one selector: ``up{job="a"}``.

    :raises ValueError: it is none, or there is more than one.
    """
    found = parse_selectors(text)
    if len(found) != 1:
        raise ValueError(f"{text[:200]!r} is not one series selector")
    return found[0]


def parse_selectors(text: str) -> list[list[LabelMatcher]]:
    """The matchers of each selector in an expression, in their order.

    :raises ValueError: with what is wrong, and where.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"longer than {MAX_LENGTH} characters")
    return list(_Scan(text).selectors())


def selector(matchers: Sequence[LabelMatcher]) -> str:
    """``{job="a", zone=~"b.*"}``; names that are no identifiers are quoted, which needs Prometheus 3."""
    parts = (f"{_name(each.name)}{_SIGNS[each.type]}{quoted(each.value)}" for each in matchers)
    return f"{{{', '.join(parts)}}}"


def _name(name: str) -> str:
    return name if _LEGACY_NAME.fullmatch(name) else quoted(name)


def quoted(text: str) -> str:
    """A string of PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


class _Scan:
    """Mutable: the position in the tokens."""

    def __init__(self, text: str) -> None:
        self._end = len(text)
        self._tokens = [
            _Token(match.lastgroup or "", match[0], match.start())
            for match in _TOKEN.finditer(text)
            if match.lastgroup != "space"
        ]
        self._at = 0

    def selectors(self) -> Iterator[list[LabelMatcher]]:
        depth = 0
        while (token := self._next()) is not None:
            if token.text == "{":
                yield self._matchers([])
            elif token.kind == "name":
                metric = self._metric(token)
                if metric is not None:
                    opened = self._skip("{")
                    yield self._matchers([metric]) if opened else [metric]
            elif token.text == "[":
                self._skip_to("]", token)
            elif token.text in "()":
                depth += 1 if token.text == "(" else -1
            elif token.text in "}]" or depth < 0 or (token.kind == "operator" and token.text in "\"'`"):
                raise self._fault(f"{token.text!r} is not expected", token)
        if depth != 0:
            raise ValueError("unbalanced parentheses")

    def _metric(self, token: _Token) -> LabelMatcher | None:
        """A matcher on the metric's name, where `token` is one."""
        word = token.text.lower()
        following = self._peek()
        if word in _LISTS:
            if self._skip("("):
                self._skip_to(")", token)
            return None
        if word in _WORDS or (following is not None and following.text == "("):
            return None
        if following is not None and following.text.lower() in ("by", "without"):
            return None  # an aggregation
        return LabelMatcher(type=LabelMatcherType.EQ, name=_METRIC, value=token.text)

    def _matchers(self, found: list[LabelMatcher]) -> list[LabelMatcher]:
        """Up to the closing brace."""
        while True:
            token = self._next()
            if token is None:
                raise ValueError("a selector has no end")
            if token.text == "}":
                break
            if token.kind not in ("name", "string"):
                raise self._fault(f"a label is wanted, not {token.text!r}", token)
            found.append(self._matcher(token))
            following = self._peek()
            if following is not None and following.text not in (",", "}"):
                raise self._fault(f"a comma is wanted, not {following.text!r}", following)
            self._skip(",")
        if not found:
            raise ValueError("a selector without matchers")
        return found

    def _matcher(self, token: _Token) -> LabelMatcher:
        name = _text(token)
        following = self._peek()
        if following is None or following.text not in _OPERATORS:
            if token.kind == "string":  # a metric's name in quotes
                return LabelMatcher(type=LabelMatcherType.EQ, name=_METRIC, value=name)
            raise self._fault(f"{name} is not compared with anything", token)
        self._at += 1
        value = self._next()
        if value is None or value.kind != "string":
            raise self._fault(f"{name} is not compared with a string", token)
        return LabelMatcher(type=_OPERATORS[following.text], name=name, value=_text(value))

    def _next(self) -> _Token | None:
        token = self._peek()
        self._at += 1
        return token

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _skip(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.text != text:
            return False
        self._at += 1
        return True

    def _skip_to(self, text: str, opened: _Token) -> None:
        while (token := self._next()) is not None:
            if token.text == text:
                return
        raise self._fault(f"{text!r} is missing behind", opened)

    def _fault(self, what: str, token: _Token) -> ValueError:
        return ValueError(f"{what} at character {token.at + 1}")


def _text(token: _Token) -> str:
    if token.kind != "string":
        return token.text
    inner = token.text[1:-1]
    return inner if token.text[0] == "`" else unquoted(inner)
