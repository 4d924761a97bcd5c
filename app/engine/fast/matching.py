"""Binary operators between two vectors."""

import re
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.fast.context import Context
from app.engine.fast.grid import Grid, Present
from app.engine.fast.labels import METADATA, Column, LabelTable, numbered
from app.engine.fast.operators import operator
from app.engine.fast.served import ARITHMETIC
from app.engine.kernels.keys import tally
from app.engine.model import EvaluationError, Labels
from app.engine.promql.ast import SET_OPERATORS, BinaryExpr, Cardinality, VectorMatching
from app.engine.promql.quoting import quoted

Rows = NDArray[np.intp]

_LEGACY_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_PAIR_BYTES = 40
"""That the numbers of two rows that match take up, with what is needed to find them."""
_NOT_EXPLICIT = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
_NOT_UNIQUE = "multiple matches for labels: grouping labels must ensure unique matches"


class _Side(msgspec.Struct, frozen=True):
    """One operand.

    :param keys: (rows,) int64: rows of both sides with the same number match.
    """

    grid: Grid
    keys: NDArray[np.int64]


def _tallied(context: Context, present: Present, keys: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
    """(keys, steps): how many rows of each key have a value, 2 for any more."""
    counts: NDArray[np.uint8] = context.budget.array((count, present.shape[1]), np.uint8)
    counts.fill(0)
    tally(present.view(np.uint8), keys, counts, context.cancel)
    context.check()
    return counts


def binary(context: Context, expr: BinaryExpr, left: Grid, right: Grid) -> Grid:
    """
    :raises EvaluationError: more than one element matches where one is wanted.
    """
    matching = expr.matching or VectorMatching()
    left, right = left.compact(context), right.compact(context)
    lefts, rights, count = _sides(matching, left, right)
    if expr.op in SET_OPERATORS:
        return _set_operation(context, expr.op, lefts, rights, count)
    return _matched(context, expr, matching, lefts, rights, count)


def _sides(matching: VectorMatching, left: Grid, right: Grid) -> tuple[_Side, _Side, int]:
    names: tuple[str, ...]
    if matching.on:
        names = tuple(sorted(set(matching.labels)))
    else:
        every = set(left.labels.names) | set(right.labels.names)
        names = tuple(sorted(every - set(matching.labels) - {"__name__"}))
    keys, count = numbered(np.concatenate([left.labels.matrix(names), right.labels.matrix(names)]))
    return _Side(left, keys[: len(left)]), _Side(right, keys[len(left) :]), count


def _set_operation(context: Context, op: str, left: _Side, right: _Side, count: int) -> Grid:
    if op == "or":
        new = _where_other(context, right, left, count, there=False)
        return _stacked(context, left.grid, new.compact(context)).merged(context)
    return _where_other(context, left, right, count, there=op == "and").compact(context)


def _where_other(context: Context, side: _Side, other: _Side, count: int, *, there: bool) -> Grid:
    """One side, at the steps at which the other has a value of the same key, or has none."""
    counts = _tallied(context, other.grid.present, other.keys, count)
    before, keys = side.grid.present, side.keys
    present = context.flags(*before.shape)

    def task(rows: slice, steps: slice) -> None:
        found = counts[keys[rows], steps] > 0
        np.logical_and(before[rows, steps], found if there else ~found, out=present[rows, steps])

    context.each_block(before.shape[0], before.shape[1], task)
    return side.grid.with_values(side.grid.values, present)


def _stacked(context: Context, above: Grid, below: Grid) -> Grid:
    labels: dict[str, Column] = {}
    for name in {*above.labels.names, *below.labels.names}:
        ids = np.concatenate([above.labels.column(name), below.labels.column(name)])
        labels[name] = Column.of(ids)
    table = LabelTable(above.labels.texts, len(above) + len(below), labels)
    shape, high = (len(table), above.steps.count), len(above)
    values, present = context.values(*shape), context.flags(*shape)
    for grid, place in ((above, slice(0, high)), (below, slice(high, None))):
        context.filled(values[place], np.positive, grid.values)
        context.filled(present[place], np.logical_or, grid.present, grid.present)
    return Grid(table, values, present, above.steps)


def _matched(
    context: Context, expr: BinaryExpr, matching: VectorMatching, left: _Side, right: _Side, count: int
) -> Grid:
    swapped = matching.card is Cardinality.ONE_TO_MANY
    many, one = (right, left) if swapped else (left, right)
    _check_one_side(context, matching, many, one, count)
    many_rows, one_rows = _pairs(context, many.keys, one.keys, count)
    pairs = [_Rows.of(many.grid, many_rows), _Rows.of(one.grid, one_rows)]
    present = _combined(context, np.bool_, np.logical_and, *(each.present for each in pairs))
    if swapped:
        pairs.reverse()
    sides = [each.values for each in pairs]
    labels = _result_labels(expr, matching, many.grid.labels.take(many_rows), one.grid.labels.take(one_rows))
    if matching.card is Cardinality.ONE_TO_ONE:
        _refuse_shared(context, present, many.keys[many_rows], _NOT_EXPLICIT)
    else:
        both = np.stack([many.keys[many_rows], labels.groups()[0]], axis=1).astype(np.int32)
        _refuse_shared(context, present, numbered(both)[0], _NOT_UNIQUE)
    function = operator(expr.op)
    if expr.op in ARITHMETIC or expr.return_bool:
        result = _combined(context, np.float64, function, *sides)
    else:
        keep = _combined(context, np.bool_, function, *sides)
        present = context.filled(keep, np.logical_and, keep, present)
        array, rows = sides[0]
        result = array if rows is None else context.taken(array, rows)
    return Grid(labels, result, present, many.grid.steps).compact(context).merged(context)


Picked = tuple[NDArray[Any], Rows | None]
"""An array, and which of its rows; None: all, as they are."""


class _Rows(msgspec.Struct, frozen=True):
    """The rows of one side that take part, once for each partner."""

    values: Picked
    present: Picked

    @staticmethod
    def of(grid: Grid, rows: Rows) -> "_Rows":
        same = len(rows) == len(grid) and bool((rows == np.arange(len(rows))).all())
        chosen = None if same else rows
        return _Rows((grid.values, chosen), (grid.present, chosen))


def _combined(
    context: Context, kind: type[np.generic], function: Callable[..., Any], left: Picked, right: Picked
) -> NDArray[Any]:
    """A function of two sides; their rows are gathered block by block, so that no copy of all is made."""
    rows = len(left[0]) if left[1] is None else len(left[1])
    steps = left[0].shape[1]
    out = context.budget.array((rows, steps), kind)

    def part(picked: Picked, here: slice, columns: slice) -> NDArray[Any]:
        array, chosen = picked
        return array[here, columns] if chosen is None else array[chosen[here], columns]

    def task(here: slice, columns: slice) -> None:
        with np.errstate(all="ignore"):
            function(part(left, here, columns), part(right, here, columns), out=out[here, columns])

    context.each_block(rows, steps, task)
    return out


def _pairs(
    context: Context, many: NDArray[np.int64], one: NDArray[np.int64], count: int
) -> tuple[Rows, Rows]:
    """All rows that match, in the order of the many side."""
    order = np.argsort(one, kind="stable")
    starts = np.searchsorted(one[order], np.arange(count + 1))
    sizes = (starts[1:] - starts[:-1])[many]
    context.budget.require(_PAIR_BYTES * int(sizes.sum()))
    many_rows = np.repeat(np.arange(len(many)), sizes)
    within = np.arange(len(many_rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return many_rows, order[starts[many[many_rows]] + within]


def _refuse_shared(context: Context, present: Present, keys: NDArray[np.int64], text: str) -> None:
    """
    :raises EvaluationError: two rows with the same key have a value at the same step.
    """
    sizes = np.bincount(keys) if len(keys) else np.zeros(0, np.int64)
    rows = np.flatnonzero(sizes[keys] > 1)
    if not len(rows):
        return
    if (_tallied(context, context.taken(present, rows), *_compacted(keys[rows])) > 1).any():
        raise EvaluationError(text)


def _compacted(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    used, inverse = np.unique(keys, return_inverse=True)
    return inverse, len(used)


def _check_one_side(context: Context, matching: VectorMatching, many: _Side, one: _Side, count: int) -> None:
    """
    :raises EvaluationError: two rows of the side that must be unique match the same, at a step at which
        there is anything to match.
    """
    sizes = np.bincount(one.keys, minlength=count)
    rows = np.flatnonzero(sizes[one.keys] > 1)
    if not len(rows):
        return
    present = context.taken(one.grid.present, rows)
    context.filled(present, np.logical_and, present, np.asarray(many.grid.present.any(axis=0)))
    keys, distinct = _compacted(one.keys[rows])
    shared = (_tallied(context, present, keys, distinct) > 1).any(axis=0)
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
