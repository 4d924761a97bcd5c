"""Functions that change or order by labels, and the labels of what is absent."""

import functools
import re
from collections.abc import Callable, Iterable, Sequence

import re2

from app.engine.model import METRIC_NAME, EvaluationError, Labels
from app.engine.promql import ast
from app.engine.promql.ast import Expr
from app.engine.promql.quoting import is_text
from app.engine.reference.elements import Element, Instant, label, with_label

_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
Room = Callable[[int], None]
"""Told how many bytes are about to be needed; raises where they are too many."""
_CHUNK = re.compile(r"\d+|\D+")


def replaced(
    elements: Iterable[Element], to: str, template: str, source: str, expression: str, room: Room
) -> Instant:
    """`label_replace`.

    :param room: asked before a text is made.
    :raises EvaluationError: the expression is none, or the label's name is empty.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(f"^(?s:{expression})$", options)
    except re2.error:
        raise EvaluationError(f"invalid regular expression in label_replace(): {expression}") from None
    _check_name(to, "destination", "label_replace")
    found = []
    for element in elements:
        match = compiled.match(label(element.labels, source))
        if match is None:
            found.append(element)
            continue
        names = compiled.groupindex
        longest = max(len(text or "") for text in (match.group(0), *match.groups()))
        room(len(template) + template.count("$") * longest)
        value = _REFERENCE.sub(
            functools.partial(_referenced, match.groups(), match.group(0), names), template
        )
        found.append(_relabelled(element, to, value))
    return found


def _referenced(
    groups: Sequence[str | None], whole: str, names: dict[str, int], reference: re.Match[str]
) -> str:
    """What ``$1`` or ``${name}`` stands for; nothing where there is no such group, as in Go."""
    name = reference[1] or reference[2]
    if name is None:
        return "$"
    number = int(name) if name.isdecimal() else names.get(name, -1)
    if number == 0:
        return whole
    return (groups[number - 1] or "") if 0 < number <= len(groups) else ""


def joined(
    elements: Iterable[Element], to: str, separator: str, sources: Sequence[str], room: Room
) -> Instant:
    """`label_join`.

    :param room: asked before a text is made.
    :raises EvaluationError: a label's name is empty.
    """
    for what, name in (*(("source", source) for source in sources), ("destination", to)):
        _check_name(name, what, "label_join")
    found = []
    for element in elements:
        parts = [label(element.labels, source) for source in sources]
        room(sum(map(len, parts)) + len(separator) * len(parts))
        found.append(_relabelled(element, to, separator.join(parts)))
    return found


def _check_name(name: str, what: str, function: str) -> None:
    if not name or not is_text(name):
        shown = name.encode("utf-8", "replace").decode()
        raise EvaluationError(f"invalid {what} label name in {function}(): {shown}")


def _relabelled(element: Element, name: str, value: str) -> Element:
    drop = element.drop_name and name != METRIC_NAME
    return Element(with_label(element.labels, name, value), element.value, element.time, drop)


def absent_labels(node: Expr) -> Labels:
    """The labels that a selector names by equality, each only once."""
    if isinstance(node, ast.MatrixSelector):
        node = node.selector
    if not isinstance(node, ast.VectorSelector):
        return ()
    found: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in node.matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.op == "=" and matcher.name not in seen:
            found[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            found.pop(matcher.name, None)
    return tuple(sorted((name, value) for name, value in found.items() if value))


def by_labels(names: Sequence[str], *, descending: bool) -> Callable[[Element], object]:
    """A sort key: by the labels' values in natural order, then by all labels."""

    def compare(a: Element, b: Element) -> int:
        for name in names:
            left, right = label(a.labels, name), label(b.labels, name)
            if left != right:
                return -1 if _naturally_before(left, right) is not descending else 1
        if a.labels == b.labels:
            return 0
        return -1 if (a.labels < b.labels) is not descending else 1

    return functools.cmp_to_key(compare)


def _naturally_before(a: str, b: str) -> bool:
    """Runs of digits compare as numbers, everything else as text."""
    left, right = _CHUNK.findall(a), _CHUNK.findall(b)
    for place, chunk in enumerate(left):
        if place >= len(right):
            return False
        other = right[place]
        equal = chunk == other
        if chunk.isdecimal() and other.isdecimal():
            equal = int(chunk) == int(other)
            if not equal:
                return int(chunk) < int(other)
        if not equal:
            return bool(chunk < other)
        if place == len(left) - 1:
            return True
        if place == len(right) - 1:
            return False
    return False
