"""count_values: how many rows have each value.

Of a million samples almost every value may be another one. So rows are gone through in blocks, between which
the query can end, and every value that is found is held against the budget: each makes a row of the result.
"""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.fast.aggregation import appearance, group_labels
from app.engine.fast.context import Context
from app.engine.fast.grid import Grid
from app.engine.model import EvaluationError
from app.engine.promql.ast import AggregateExpr, StringLiteral, unwrapped
from app.engine.promql.printer import plain
from app.engine.promql.quoting import is_text, quoted

_POINTS = 1 << 17
"""Of the rows of a block."""
_TEXTS = 4096
"""Values that are written as texts between two looks at the flag."""

Ids = NDArray[np.int64]


def count_values(context: Context, expr: AggregateExpr, grid: Grid) -> Grid:
    """How many rows have each value, which is in a label.

    :raises EvaluationError: the label's name is no name, or there is no room for so many values.
    """
    name = _label_name(expr)
    kept = msgspec.structs.replace(expr, grouping=expr.grouping if expr.without else (*expr.grouping, name))
    distinct = _distinct(context, grid)
    nameless = grid.labels.replaced(name, np.zeros(len(grid), np.int32))
    groups, _ = group_labels(kept, nameless).groups()
    pairs, first = _pairs(context, grid, groups, distinct)

    order = np.lexsort((pairs % max(1, len(distinct)), first))  # as rows come, and of one row by value
    ids = _numbers(context, distinct)[pairs[order] % max(1, len(distinct))]
    labels = group_labels(kept, grid.labels.take(first[order]).replaced(name, ids))
    merged, count = labels.groups()
    place = np.empty(len(order), np.int64)
    place[order] = merged

    counts = context.values(count, grid.steps.count)
    counts.fill(0.0)
    for rows, steps, bits in _blocks(context, grid):
        found = groups[rows] * len(distinct) + np.searchsorted(distinct, bits)
        np.add.at(counts, (place[np.searchsorted(pairs, found)], steps), 1.0)
    appeared, shown = appearance(merged, np.ones(len(merged), np.bool_), count)
    return Grid(labels.take(shown), counts[appeared], counts[appeared] > 0, grid.steps)


def _label_name(expr: AggregateExpr) -> str:
    assert expr.param is not None
    parameter = unwrapped(expr.param)
    assert isinstance(parameter, StringLiteral)
    if not parameter.value or not is_text(parameter.value):
        raise EvaluationError(f"invalid label name {quoted(parameter.value)}")
    return parameter.value


def _blocks(context: Context, grid: Grid) -> Iterator[tuple[Ids, Ids, NDArray[np.uint64]]]:
    """Rows, steps and the bits of the values of all samples, row by row."""
    high = max(1, _POINTS // max(1, grid.steps.count))
    for low in range(0, len(grid), high):
        context.check()
        rows, steps = np.nonzero(grid.present[low : low + high])
        yield rows + low, steps, grid.values[rows + low, steps].view(np.uint64)


def _require(context: Context, grid: Grid, rows: int) -> None:
    """:raises TooMuchMemory: there is no room for a result of so many rows."""
    context.budget.require(rows * grid.steps.count * (8 + 1))


def _distinct(context: Context, grid: Grid) -> NDArray[np.uint64]:
    """The bits of all values that occur, sorted."""
    found = np.empty(0, np.uint64)
    for _, _, bits in _blocks(context, grid):
        found = np.union1d(found, bits)
        _require(context, grid, len(found))
    return found


def _pairs(
    context: Context, grid: Grid, groups: Ids, distinct: NDArray[np.uint64]
) -> tuple[Ids, NDArray[np.intp]]:
    """Pairs of a group and a value that occur, as one number each, sorted; and the first row of each."""
    pairs, first = np.empty(0, np.int64), np.empty(0, np.intp)
    for rows, _, bits in _blocks(context, grid):
        found = groups[rows] * len(distinct) + np.searchsorted(distinct, bits)
        pairs, places = np.unique(np.concatenate((pairs, found)), return_index=True)
        first = np.concatenate((first, rows))[places]
        _require(context, grid, len(pairs))
    return pairs, first


def _numbers(context: Context, distinct: NDArray[np.uint64]) -> NDArray[np.int32]:
    """The numbers of the values' texts."""
    numbers = np.empty(len(distinct), np.int32)
    for low in range(0, len(distinct), _TEXTS):
        context.check()
        values = distinct[low : low + _TEXTS].view(np.float64).tolist()
        numbers[low : low + _TEXTS] = [context.texts.number(plain(value)) for value in values]
    return numbers
