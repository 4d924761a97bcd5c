"""quantile, topk and bottomk, limitk, and sorting."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.engine.fast.aggregation import group_labels
from app.engine.fast.context import Context, NotServed
from app.engine.fast.grid import Grid, Values, empty
from app.engine.fast.notes import go_g
from app.engine.kernels.ranking import choose, quantiles
from app.engine.model import EvaluationError
from app.engine.promql.ast import AggregateExpr, Call, unwrapped

_LEAST, _GREATEST = -(2.0**63), 2.0**63


def aggregated(context: Context, expr: AggregateExpr, parameter: Values, grid: Grid) -> Grid:
    """
    :param parameter: (steps,) float64.
    """
    grid = grid.compact(context)
    if expr.op == "quantile":
        return _quantile(context, expr, parameter, grid)
    if expr.op == "limitk":
        return _limited(context, expr, parameter, grid)
    return _ranked(context, expr, parameter, grid)


def _by_group(groups: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of each group next to each other, and where each group begins."""
    order = np.argsort(groups, kind="stable")
    return order, np.searchsorted(groups[order], np.arange(count + 1)).astype(np.int64)


def _quantile(context: Context, expr: AggregateExpr, parameter: Values, grid: Grid) -> Grid:
    assert expr.param is not None
    wrong = [np.nan] if np.isnan(parameter).any() else []
    wrong += [float(value) for value in (parameter.max(), parameter.min()) if value > 1 or value < 0]
    for value in wrong:
        text = f"quantile value should be between 0 and 1, got {go_g(value)}"
        context.annotations.warn(text, unwrapped(expr.param).span)
    labels = group_labels(expr, grid.labels)
    groups, count = labels.groups()
    order, starts = _by_group(groups, count)
    out, filled = context.values(count, grid.steps.count), context.no_flags(count, grid.steps.count)
    present = grid.present.view(np.uint8)
    quantiles(parameter, order, starts, grid.values, present, out, filled.view(np.uint8), context.cancel)
    context.check()
    return Grid(labels.take(order[starts[:-1]]), out, filled, grid.steps)


def _limited(context: Context, expr: AggregateExpr, parameter: Values, grid: Grid) -> Grid:
    """The first rows of each group that have a value, at each step."""
    if np.isnan(parameter).any():
        raise EvaluationError("Parameter value is NaN")
    if parameter.max() >= _GREATEST:
        raise EvaluationError(f"Scalar value {go_g(float(parameter.max()))} overflows int64")
    groups, count = group_labels(expr, grid.labels).groups()
    order, starts = _by_group(groups, count)
    chosen = context.no_flags(*grid.present.shape)
    for begin, end in pairwise(starts.tolist()):
        context.check()
        rows = order[begin:end]
        present = grid.present[rows]
        chosen[rows] = present & (np.cumsum(present, axis=0) <= np.trunc(parameter))
    limited = grid.with_values(grid.values, chosen)
    return limited.take(context, order[limited.filled()[order]])


def sort(context: Context, call: Call, grid: Grid) -> Grid:
    """Rows by their value at the only step there is; NaN last, of equals the earlier first.

    :raises NotServed: there are several steps, each with an order of its own.
    """
    if grid.steps.count != 1:
        raise NotServed("sort at several steps")
    if context.query.start != context.query.end:
        text = "sort is ineffective for range queries since results are always ordered by labels"
        context.annotations.warn(text, call.span)
    grid = grid.compact(context)
    values = grid.values[:, 0]
    keys = -values if call.func == "sort_desc" else values
    return grid.take(context, np.argsort(keys, kind="stable"))


def _ranked(context: Context, expr: AggregateExpr, parameter: Values, grid: Grid) -> Grid:
    if parameter.max() < 1:
        return empty(grid.labels, grid.steps)
    if np.isnan(parameter).any():
        raise EvaluationError("Parameter value is NaN")
    if parameter.min() <= _LEAST:
        raise EvaluationError(f"Scalar value {go_g(float(parameter.min()))} underflows int64")
    if parameter.max() >= _GREATEST:
        raise EvaluationError(f"Scalar value {go_g(float(parameter.max()))} overflows int64")
    groups, count = group_labels(expr, grid.labels).groups()
    order, starts = _by_group(groups, count)
    most = np.minimum(np.trunc(parameter), len(grid)).astype(np.int64)
    chosen = context.no_flags(*grid.present.shape)
    ranked = np.empty(len(grid), np.int64)
    size = choose(
        most,
        expr.op == "bottomk",
        order,
        starts,
        grid.values,
        grid.present.view(np.uint8),
        chosen.view(np.uint8),
        ranked,
        context.cancel,
    )
    context.check()
    result = grid.with_values(grid.values, chosen)
    return result.take(context, ranked[:size]) if grid.steps.count == 1 else result.compact(context)
