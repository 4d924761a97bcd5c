"""sum, avg, min, max, count, group, stddev, stdvar: rows into groups."""

import numpy as np
from numpy.typing import NDArray

from app.engine.fast.context import Context
from app.engine.fast.grid import Grid, Steps
from app.engine.fast.labels import LabelTable
from app.engine.fast.windowing import Source, Totals, Window, summed_blocks
from app.engine.kernels import aggregate
from app.engine.promql.ast import AggregateExpr

OPERATORS = {
    "sum": aggregate.SUM,
    "avg": aggregate.AVERAGE,
    "min": aggregate.MIN,
    "max": aggregate.MAX,
    "count": aggregate.COUNT,
    "group": aggregate.GROUP,
    "stddev": aggregate.DEVIATION,
    "stdvar": aggregate.VARIANCE,
}
_STRIP = 64
"""Steps that a task of a wide aggregation takes."""


def group_labels(expr: AggregateExpr, labels: LabelTable) -> LabelTable:
    """What is left of the labels of each row."""
    if expr.without:
        return labels.without((*expr.grouping, "__name__"))
    return labels.keep(expr.grouping)


def _result(
    context: Context, labels: LabelTable, groups: NDArray[np.int64], filled: NDArray[np.bool_], grid: Grid
) -> Grid:
    """Groups in the order in which their first row appears, without those that never have a value.

    :param labels: of the rows, cut to those of the groups.
    :param grid: the groups by number; its labels are not yet known.
    """
    order, first = appearance(groups, filled, len(grid.values))
    if len(order) < len(grid.values) or (np.diff(order) < 0).any():
        grid = grid.take(context, order)
    return grid.with_labels(labels.take(first))


def appearance(
    groups: NDArray[np.int64], filled: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The groups that ever have a value in the order in which they appear, and the first row of each.

    :param filled: (rows,) bool, whether a row has any.
    """
    first = np.full(count, len(groups), np.intp)
    rows = np.flatnonzero(filled)
    np.minimum.at(first, groups[rows], rows)
    order = np.argsort(first, kind="stable")
    order = order[first[order] < len(groups)]
    return order, first[order]


def of_source(
    context: Context, expr: AggregateExpr, source: Source, window: Window, labels: LabelTable, steps: Steps
) -> tuple[Grid, NDArray[np.bool_]]:
    """Aggregate what a kernel makes of series, without keeping it.

    :param labels: of the rows that the kernel makes.
    :return: the groups, and which series have a value at any step.
    """
    kept = group_labels(expr, labels)
    groups, count = kept.groups()
    totals = Totals(context, OPERATORS[expr.op], count, steps.count)
    filled = summed_blocks(context, source, window, groups, totals)
    return _result(context, kept, groups, filled, Grid(kept, *totals.finished(), steps)), filled


def of_grid(context: Context, expr: AggregateExpr, grid: Grid) -> Grid:
    """Aggregate rows; tasks take strips of steps, so that each sum is made in the order of the rows."""
    kept = group_labels(expr, grid.labels)
    groups, count = kept.groups()
    steps = grid.steps
    totals = Totals(context, OPERATORS[expr.op], count, steps.count)
    present = grid.present.view(np.uint8)
    strip = _STRIP if grid.values.size > _STRIP * 1024 else steps.count

    def task(number: int) -> None:
        part = (number * strip, min(steps.count, (number + 1) * strip))
        totals.add(grid.values, present, groups, part, context.cancel)

    context.workers.each(-(-steps.count // strip), task)
    context.check()
    return _result(context, kept, groups, grid.filled(), Grid(kept, *totals.finished(), steps))
