"""Binary operators between two vectors."""

import re
from typing import NoReturn, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.fast.grid import Grid, Present
from app.engine.fast.labels import METADATA, Column, LabelTable, numbered
from app.engine.fast.operators import calculated, compared
from app.engine.fast.served import ARITHMETIC
from app.engine.model import EvaluationError, Labels
from app.engine.promql.ast import SET_OPERATORS, BinaryExpr, Cardinality, VectorMatching
from app.engine.promql.quoting import quoted

Rows = NDArray[np.intp]
T = TypeVar("T", bound=np.generic)

_LEGACY_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_NOT_EXPLICIT = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
_NOT_UNIQUE = "multiple matches for labels: grouping labels must ensure unique matches"


class _Side(msgspec.Struct, frozen=True):
    """One operand.

    :param keys: (rows,) int64: rows of both sides with the same number match.
    """

    grid: Grid
    keys: NDArray[np.int64]

    def present_by_key(self, count: int) -> Present:
        """(keys, steps) bool: whether any row of a key has a value."""
        return _counts(self.grid.present, self.keys, count) > 0


def _counts(present: Present, keys: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(keys, steps): how many rows of each key have a value."""
    counts = np.zeros((count, present.shape[1]), np.int64)
    if len(keys) == len(np.unique(keys)):
        counts[keys] = present
    else:
        order = np.argsort(keys, kind="stable")
        used, starts = np.unique(keys[order], return_index=True)
        counts[used] = np.add.reduceat(present[order].astype(np.int64), starts, axis=0)
    return counts


def binary(expr: BinaryExpr, left: Grid, right: Grid) -> Grid:
    """
    :raises EvaluationError: more than one element matches where one is wanted.
    """
    matching = expr.matching or VectorMatching()
    left, right = left.compact(), right.compact()
    lefts, rights, count = _sides(matching, left, right)
    if expr.op in SET_OPERATORS:
        return _set_operation(expr.op, lefts, rights, count)
    return _matched(expr, matching, lefts, rights, count)


def _sides(matching: VectorMatching, left: Grid, right: Grid) -> tuple[_Side, _Side, int]:
    names: tuple[str, ...]
    if matching.on:
        names = tuple(sorted(set(matching.labels)))
    else:
        every = set(left.labels.names) | set(right.labels.names)
        names = tuple(sorted(every - set(matching.labels) - {"__name__"}))
    keys, count = numbered(np.concatenate([left.labels.matrix(names), right.labels.matrix(names)]))
    return _Side(left, keys[: len(left)]), _Side(right, keys[len(left) :]), count


def _set_operation(op: str, left: _Side, right: _Side, count: int) -> Grid:
    if op == "or":
        new = right.grid.present & ~left.present_by_key(count)[right.keys]
        return _stacked(left.grid, right.grid.with_values(right.grid.values, new)).compact().merged()
    found = right.present_by_key(count)[left.keys]
    present = left.grid.present & (found if op == "and" else ~found)
    return left.grid.with_values(left.grid.values, present).compact()


def _stacked(above: Grid, below: Grid) -> Grid:
    labels: dict[str, Column] = {}
    for name in {*above.labels.names, *below.labels.names}:
        ids = np.concatenate([above.labels.column(name), below.labels.column(name)])
        labels[name] = Column.of(ids)
    table = LabelTable(above.labels.texts, len(above) + len(below), labels)
    values = np.concatenate([above.values, below.values])
    return Grid(table, values, np.concatenate([above.present, below.present]), above.steps)


def _matched(expr: BinaryExpr, matching: VectorMatching, left: _Side, right: _Side, count: int) -> Grid:
    swapped = matching.card is Cardinality.ONE_TO_MANY
    many, one = (right, left) if swapped else (left, right)
    _check_one_side(matching, many, one, count)
    many_rows, one_rows = _pairs(many.keys, one.keys, count)
    present = _rows(many.grid.present, many_rows) & _rows(one.grid.present, one_rows)
    values = [_rows(many.grid.values, many_rows), _rows(one.grid.values, one_rows)]
    if swapped:
        values.reverse()
    labels = _result_labels(expr, matching, many.grid.labels.take(many_rows), one.grid.labels.take(one_rows))
    if matching.card is Cardinality.ONE_TO_ONE:
        _refuse_shared(present, many.keys[many_rows], _NOT_EXPLICIT)
    else:
        both = np.stack([many.keys[many_rows], labels.groups()[0]], axis=1).astype(np.int32)
        _refuse_shared(present, numbered(both)[0], _NOT_UNIQUE)
    if expr.op in ARITHMETIC:
        result = calculated(expr.op, *values)
    else:
        keep = compared(expr.op, *values)
        result = keep.astype(np.float64) if expr.return_bool else values[0]
        present = present if expr.return_bool else present & keep
    return Grid(labels, result, present, many.grid.steps).compact().merged()


def _rows(array: NDArray[T], rows: Rows) -> NDArray[T]:
    """Without a copy where all are taken as they are."""
    if len(rows) == len(array) and (rows == np.arange(len(rows))).all():
        return array
    return array[rows]


def _pairs(many: NDArray[np.int64], one: NDArray[np.int64], count: int) -> tuple[Rows, Rows]:
    """All rows that match, in the order of the many side."""
    order = np.argsort(one, kind="stable")
    starts = np.searchsorted(one[order], np.arange(count + 1))
    sizes = (starts[1:] - starts[:-1])[many]
    many_rows = np.repeat(np.arange(len(many)), sizes)
    within = np.arange(len(many_rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return many_rows, order[starts[many[many_rows]] + within]


def _refuse_shared(present: Present, keys: NDArray[np.int64], text: str) -> None:
    """
    :raises EvaluationError: two rows with the same key have a value at the same step.
    """
    sizes = np.bincount(keys) if len(keys) else np.zeros(0, np.int64)
    rows = np.flatnonzero(sizes[keys] > 1)
    if len(rows) and (_counts(present[rows], *_compacted(keys[rows])) > 1).any():
        raise EvaluationError(text)


def _compacted(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    used, inverse = np.unique(keys, return_inverse=True)
    return inverse, len(used)


def _check_one_side(matching: VectorMatching, many: _Side, one: _Side, count: int) -> None:
    """
    :raises EvaluationError: two rows of the side that must be unique match the same, at a step at which
        there is anything to match.
    """
    sizes = np.bincount(one.keys, minlength=count)
    rows = np.flatnonzero(sizes[one.keys] > 1)
    if not len(rows):
        return
    present = one.grid.present[rows] & many.grid.present.any(axis=0)
    keys, distinct = _compacted(one.keys[rows])
    shared = (_counts(present, keys, distinct) > 1).any(axis=0)
    if shared.any():
        _report(matching, one, rows[present[:, shared.argmax()]])


def _report(matching: VectorMatching, one: _Side, rows: Rows) -> NoReturn:
    """Name the first row whose key was there before, and the one before it."""
    seen: dict[int, int] = {}
    for row in rows.tolist():
        key = int(one.keys[row])
        if key in seen:
            pair = sorted(labels_text(one.grid.labels.of(place)) for place in (seen[key], row))
            group = tuple(
                (name, value)
                for name, value in one.grid.labels.of(row)
                if (name in matching.labels) is matching.on and (matching.on or name != "__name__")
            )
            side = "left" if matching.card is Cardinality.ONE_TO_MANY else "right"
            raise EvaluationError(
                f"found duplicate series for the match group {labels_text(group)} on the {side} hand-side of"
                f" the operation: [{pair[0]}, {pair[1]}];many-to-many matching not allowed: matching labels"
                " must be unique on one side"
            )
        seen[key] = row
    raise AssertionError("there is no duplicate among these rows")


def labels_text(labels: Labels) -> str:
    """As Prometheus prints a label set: ``{a="1", b="2"}``."""
    shown = ((name if _LEGACY_NAME.fullmatch(name) else quoted(name), value) for name, value in labels)
    return "{" + ", ".join(f"{name}={quoted(value)}" for name, value in shown) + "}"


def _result_labels(
    expr: BinaryExpr, matching: VectorMatching, many: LabelTable, one: LabelTable
) -> LabelTable:
    """Of the rows of the many side, paired with those of the other."""
    labels = many
    if expr.op in ARITHMETIC or expr.return_bool:
        labels = labels.without(METADATA)
    if matching.card is Cardinality.ONE_TO_ONE:
        labels = labels.keep(matching.labels) if matching.on else labels.without(matching.labels)
    for name in matching.include:
        labels = labels.replaced(name, one.column(name))
    return labels
