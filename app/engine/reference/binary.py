"""Binary operators at one step: between numbers, between elements, between vectors."""

import operator
from collections.abc import Callable, Iterator

import msgspec

from app.engine.histogram import arithmetic
from app.engine.histogram.arithmetic import equals
from app.engine.histogram.model import FloatHistogram, HistogramMismatch, ResetHint
from app.engine.histogram.trimming import trim
from app.engine.model import METRIC_NAME, Annotations, EvaluationError, Labels
from app.engine.promql import ast
from app.engine.promql.ast import Cardinality, VectorMatching
from app.engine.promql.quoting import quoted
from app.engine.reference.elements import (
    METADATA,
    Element,
    Instant,
    label,
    only,
    with_label,
    without,
    written,
)
from app.engine.reference.histograms import reconciled
from app.engine.reference.numbers import atan2, divide, modulo, power

ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
    "%": modulo,
    "^": power,
    "atan2": atan2,
}
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Number = float | FloatHistogram
Polled = Callable[[Instant], Iterator[Element]]
"""The same elements, with a look at the cancel flag now and then."""
DUPLICATE = "vector cannot contain metrics with the same labelset"


def scalars(op: str, left: float, right: float) -> float:
    """Of two numbers; a comparison gives 0 or 1."""
    return ARITHMETIC[op](left, right) if op in ARITHMETIC else float(COMPARE[op](left, right))


class Binary:
    """One operator at one step."""

    def __init__(
        self, node: ast.BinaryExpr, annotations: Annotations, time: int, polled: Polled, *, delayed: bool
    ) -> None:
        self._polled = polled
        self._node = node
        self._annotations = annotations
        self._time = time
        self._delayed = delayed
        """Whether names are dropped only at the end of the query."""

    # -- elements

    def _values(self, left: Number, right: Number) -> tuple[Number, bool] | None:
        """The value, and whether a comparison holds; None, annotated, where the types do not go together."""
        op = self._node.op
        if isinstance(left, float) and isinstance(right, float):
            if op in ARITHMETIC:
                return ARITHMETIC[op](left, right), True
            if op in COMPARE:
                return left, COMPARE[op](left, right)
        elif isinstance(left, FloatHistogram) and isinstance(right, FloatHistogram):
            if op in ("+", "-"):
                return self._combined(left, right)
            if op in ("==", "!="):
                return left, equals(left, right) is (op == "==")
        elif isinstance(left, FloatHistogram) and isinstance(right, float):
            if op in ("*", "/"):
                return (arithmetic.mul if op == "*" else arithmetic.div)(left, right), True
            if op in ("</", ">/"):
                return trim(left, right, upper=op == "</"), True
        elif isinstance(right, FloatHistogram) and isinstance(left, float) and op == "*":
            return arithmetic.mul(right, left), True
        kinds = ["float" if isinstance(value, float) else "histogram" for value in (left, right)]
        self._annotations.info(
            "incompatible sample types encountered for binary operator "
            f"{quoted(op)}: {kinds[0]} {op} {kinds[1]}",
            self._node.span,
        )
        return None

    def _combined(self, left: FloatHistogram, right: FloatHistogram) -> tuple[Number, bool] | None:
        op, span = self._node.op, self._node.span
        what = "addition" if op == "+" else "subtraction"
        try:
            result, notes = (arithmetic.add if op == "+" else arithmetic.sub)(left, right)
        except HistogramMismatch:
            self._annotations.warn(f"incompatible bucket layout encountered for binary operator {op}", span)
            return None
        if op == "-":
            result = msgspec.structs.replace(result, reset_hint=ResetHint.GAUGE)
        if notes.reset_collision:
            self._annotations.warn(f"conflicting counter resets during histogram {what}", span)
        if notes.bounds_reconciled:
            reconciled(what, self._annotations, span)
        return result, True

    # -- a vector and a number

    def with_scalar(self, elements: Instant, number: float, *, swapped: bool) -> Instant:
        """:param swapped: whether the number is on the left."""
        op, return_bool = self._node.op, self._node.return_bool
        found = []
        for element in self._polled(elements):
            sides = (number, element.value) if swapped else (element.value, number)
            outcome = self._values(*sides)
            if outcome is None:
                continue
            value, keep = outcome
            if op in COMPARE:
                value = element.value
            if return_bool:
                value, keep = float(keep), True
            if keep:
                found.append(self._renamed(element, value, op in ARITHMETIC or return_bool))
        return found

    def _renamed(self, element: Element, value: Number, drops: bool) -> Element:
        labels = element.labels
        if drops and not self._delayed:
            labels = without(labels, METADATA)
        return Element(labels, value, self._time, drops or element.drop_name)

    # -- two vectors

    def vectors(self, left: Instant, right: Instant) -> Instant:
        """
        :raises EvaluationError: the elements do not match as the operator demands.
        """
        matching = self._node.matching or VectorMatching()
        match self._node.op:
            case "and":
                keys = {self._key(element.labels, matching) for element in self._polled(right)}
                return [each for each in self._polled(left) if self._key(each.labels, matching) in keys]
            case "unless":
                keys = {self._key(element.labels, matching) for element in self._polled(right)}
                return [each for each in self._polled(left) if self._key(each.labels, matching) not in keys]
            case "or":
                keys = {self._key(element.labels, matching) for element in self._polled(left)}
                return [
                    *left,
                    *(each for each in self._polled(right) if self._key(each.labels, matching) not in keys),
                ]
            case _:
                return self._matched(left, right, matching)

    def _key(self, labels: Labels, matching: VectorMatching) -> Labels:
        names = frozenset(matching.labels)
        return only(labels, names) if matching.on else without(labels, names | {METRIC_NAME})

    def _matched(self, left: Instant, right: Instant, matching: VectorMatching) -> Instant:
        """With many on the left; sides are swapped where they are on the right."""
        swapped = matching.card is Cardinality.ONE_TO_MANY
        many, one = (right, left) if swapped else (left, right)
        fills = matching.fill_left, matching.fill_right
        if not (left or right) or (not (left and right) and fills == (None, None)):
            return []
        ones = self._ones(one, matching, swapped)
        matched = _Matched(matching.card is Cardinality.ONE_TO_ONE)
        found: Instant = []
        for element in self._polled(many):
            key = self._key(element.labels, matching)
            partner = ones.get(key)
            if partner is None and matching.fill_right is not None:
                partner = Element(_match_labels(element.labels, matching), matching.fill_right, self._time)
            if partner is not None:
                self._match(element, partner, key, swapped, matched, found)
        if matching.fill_left is not None:
            for partner in self._polled(one):
                key = self._key(partner.labels, matching)
                if key not in matched.keys:
                    filled = Element(_match_labels(partner.labels, matching), matching.fill_left, self._time)
                    self._match(filled, partner, key, swapped, matched, found)
        return found

    def _ones(self, one: Instant, matching: VectorMatching, swapped: bool) -> dict[Labels, Element]:
        found: dict[Labels, Element] = {}
        for element in self._polled(one):
            key = self._key(element.labels, matching)
            other = found.setdefault(key, element)
            if other is not element:
                pair = ", ".join(sorted((written(element.labels), written(other.labels))))
                group = written(_match_labels(element.labels, matching))
                raise EvaluationError(
                    f"found duplicate series for the match group {group} "
                    f"on the {'left' if swapped else 'right'} hand-side of the operation: [{pair}]"
                    ";many-to-many matching not allowed: matching labels must be unique on one side"
                )
        return found

    def _match(
        self, many: Element, one: Element, key: Labels, swapped: bool, matched: "_Matched", found: Instant
    ) -> None:
        sides = (one.value, many.value) if swapped else (many.value, one.value)
        outcome = self._values(*sides)
        if outcome is None:
            return
        value, keep = outcome
        return_bool = self._node.return_bool
        if return_bool:
            value = float(keep)
        labels = self._result_labels(many.labels, one.labels)
        matched.add(key, labels)
        if keep or return_bool:
            found.append(Element(labels, value, self._time, return_bool))

    def _result_labels(self, many: Labels, one: Labels) -> Labels:
        node = self._node
        matching = node.matching or VectorMatching()
        if node.op in ARITHMETIC or (node.return_bool and not self._delayed):
            many = without(many, METADATA)
        if matching.card is Cardinality.ONE_TO_ONE:
            names = frozenset(matching.labels)
            many = only(many, names) if matching.on else without(many, names)
        for name in matching.include:
            many = with_label(many, name, label(one, name))
        return many


def _match_labels(labels: Labels, matching: VectorMatching) -> Labels:
    names = frozenset(matching.labels)
    return only(labels, names) if matching.on else without(labels, names | {METRIC_NAME})


class _Matched:
    """Mutable: what has been matched, so that nothing is matched twice."""

    def __init__(self, one_to_one: bool) -> None:
        self.keys: dict[Labels, set[Labels]] = {}
        self._one_to_one = one_to_one

    def add(self, key: Labels, result: Labels) -> None:
        seen = self.keys.setdefault(key, set())
        if self._one_to_one and seen:
            raise EvaluationError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        if result in seen:
            raise EvaluationError("multiple matches for labels: grouping labels must ensure unique matches")
        seen.add(result)
