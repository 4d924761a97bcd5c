"""Functions of scalars and instant vectors."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from app.engine.fast import dates, histograms, native, ranges, ranking, relabel
from app.engine.fast.context import Context
from app.engine.fast.grid import Grid, Numbers, Steps, Values
from app.engine.fast.labels import LabelTable
from app.engine.fast.operators import larger, smaller
from app.engine.fast.plan import Node
from app.engine.fast.served import DATES
from app.engine.promql.ast import Call, VectorSelector

if TYPE_CHECKING:
    from app.engine.fast.evaluator import Evaluator


def _sign(values: Values) -> Values:
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


_MATH: dict[str, Callable[[Values], Values]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "deg": lambda values: values * 180 / np.pi,
    "exp": np.exp,
    "floor": np.floor,
    "ln": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "rad": lambda values: values * np.pi / 180,
    "sgn": _sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
}


def scalar(evaluator: "Evaluator", context: Context, node: Node, call: Call, steps: Steps) -> Numbers:
    """A function that returns a scalar."""
    query = context.query
    match call.func:
        case "pi":
            return _same(np.pi, steps)
        case "time":
            return Numbers(steps.times / 1000)
        case "start":
            return _same(query.start / 1000, steps)
        case "end":
            return _same(query.end / 1000, steps)
        case "range":
            return _same((query.end - query.start) / 1000, steps)
        case "step":
            return _same(0.0 if query.start == query.end else query.step / 1000, steps)
        case "min_of" | "max_of":
            left, right = (evaluator.numbers(child, steps).values for child in node.children)
            return Numbers((smaller if call.func == "min_of" else larger)(left, right))
        case _:
            return _scalar_of(evaluator.vector(node.children[0], steps))


def _same(value: float, steps: Steps) -> Numbers:
    return Numbers(np.full(steps.count, value))


def _scalar_of(grid: Grid) -> Numbers:
    """The only value at a step, NaN where there is none or more than one."""
    single = grid.present.sum(axis=0) == 1
    if not len(grid):
        return Numbers(np.full(grid.steps.count, np.nan))
    where = grid.present.argmax(axis=0)
    found = grid.values[where, np.arange(grid.steps.count)]
    return Numbers(np.where(single, found, np.nan))


def vector(evaluator: "Evaluator", context: Context, node: Node, call: Call, steps: Steps) -> Grid:
    """A function that returns an instant vector."""
    func, children = call.func, node.children
    if func == "vector":
        numbers = evaluator.numbers(children[0], steps).values
        return _unlabeled(context, numbers, steps)
    if func == "timestamp":
        return _timestamp(evaluator, context, children[0], steps)
    if func == "absent":
        return ranges.absent(context, call.args[0], evaluator.any_vector(children[0], steps))
    if func.startswith("histogram_"):
        return _of_histograms(evaluator, context, node, call, steps)
    if func in DATES:
        if not children:
            grid = _unlabeled(context, (steps.times // 1000).astype(np.float64), steps)
            return dates.date_part(context, func, grid)
        return dates.date_part(context, func, evaluator.vector(children[0], steps)).nameless(context)
    grid = evaluator.vector(children[0], steps)
    if func in ("label_replace", "label_join"):
        return relabel.relabeled(context, call, grid)
    if func in ("sort", "sort_desc"):
        return ranking.sort(context, call, grid)
    parameters = [evaluator.numbers(child, steps).values for child in children[1:]]
    return _calculated(context, func, grid, parameters).nameless(context)


def _of_histograms(evaluator: "Evaluator", context: Context, node: Node, call: Call, steps: Steps) -> Grid:
    """Of native ones, and of classic ones the quantile."""
    *before, child = node.children
    numbers = [evaluator.numbers(each, steps).values for each in before]
    grid = evaluator.any_vector(child, steps)
    if call.func == "histogram_quantile":
        histograms.check_quantiles(context, call, numbers[0])
        if isinstance(grid, Grid):
            return histograms.quantile(context, call, numbers[0], grid)
    if isinstance(grid, Grid):
        return native.of_floats(context, call.func, grid)
    if call.func in native.STATISTICS:
        return native.statistic(context, call.func, grid)
    return native.values(context, grid, call.args[-1].span, *numbers)


def _unlabeled(context: Context, numbers: Values, steps: Steps) -> Grid:
    labels = LabelTable(context.texts, 1, {})
    return Grid(labels, numbers[None, :], np.ones((1, steps.count), np.bool_), steps)


def _calculated(context: Context, func: str, grid: Grid, parameters: list[Values]) -> Grid:
    values = grid.values
    numbers = np.ones(grid.steps.count) if not parameters else parameters[0]
    match func:
        case "clamp":
            low, high = parameters
            clamped = context.mapped(_clamped, low, high, values)
            present = context.filled(
                context.flags(*values.shape), np.logical_and, ~(high < low), grid.present
            )
            return grid.with_values(clamped, present).compact(context)
        case "clamp_max":
            return grid.with_values(context.mapped(smaller, numbers, values))
        case "clamp_min":
            return grid.with_values(context.mapped(larger, numbers, values))
        case "round":
            return grid.with_values(context.mapped(_rounded, numbers, values))
        case _:
            return grid.with_values(context.mapped(_MATH[func], values))


def _clamped(low: Values, high: Values, values: Values) -> Values:
    return larger(low, smaller(high, values))


def _rounded(nearest: Values, values: Values) -> Values:
    inverse = 1.0 / nearest
    return np.floor(values * inverse + 0.5) / inverse


def _timestamp(evaluator: "Evaluator", context: Context, child: Node, steps: Steps) -> Grid:
    """Of the samples where a selector is asked directly, else of the steps."""
    if isinstance(child.expr, VectorSelector):
        once = child.once and steps.count > 1
        grid = ranges.sample_times(context, child, steps.once() if once else steps)
        return grid.broadcast(context, steps).nameless(context)
    grid = evaluator.vector(child, steps)
    times = context.filled(context.values(*grid.values.shape), np.positive, steps.times / 1000)
    return grid.with_values(times).nameless(context)
