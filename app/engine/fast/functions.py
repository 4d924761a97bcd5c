"""Functions of scalars and instant vectors."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from app.engine.fast import dates, histograms, ranges, relabel
from app.engine.fast.context import Context
from app.engine.fast.grid import Grid, Numbers, Steps, Values
from app.engine.fast.labels import LabelTable
from app.engine.fast.operators import larger, smaller
from app.engine.fast.plan import Node
from app.engine.fast.served import DATES
from app.engine.kernels import over_time
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
        return ranges.absent(context, call.args[0], evaluator.vector(children[0], steps))
    if func == "histogram_quantile":
        quantiles = evaluator.numbers(children[0], steps).values
        return histograms.quantile(context, call, quantiles, evaluator.vector(children[1], steps))
    if func in DATES:
        if not children:
            return dates.date_part(func, _unlabeled(context, (steps.times // 1000).astype(np.float64), steps))
        return dates.date_part(func, evaluator.vector(children[0], steps)).nameless()
    grid = evaluator.vector(children[0], steps)
    if func in ("label_replace", "label_join"):
        return relabel.relabeled(context, call, grid)
    parameters = [evaluator.numbers(child, steps).values for child in children[1:]]
    with np.errstate(all="ignore"):
        return _calculated(func, grid, parameters).nameless()


def _unlabeled(context: Context, numbers: Values, steps: Steps) -> Grid:
    labels = LabelTable(context.texts, 1, {})
    return Grid(labels, numbers[None, :], np.ones((1, steps.count), np.bool_), steps)


def _calculated(func: str, grid: Grid, parameters: list[Values]) -> Grid:
    values = grid.values
    match func:
        case "clamp":
            low, high = parameters
            clamped = larger(low, smaller(high, values))
            return grid.with_values(clamped, grid.present & ~(high < low)).compact()
        case "clamp_max":
            return grid.with_values(smaller(parameters[0], values))
        case "clamp_min":
            return grid.with_values(larger(parameters[0], values))
        case "round":
            inverse = 1.0 / (parameters[0] if parameters else np.float64(1))
            return grid.with_values(np.floor(values * inverse + 0.5) / inverse)
        case _:
            return grid.with_values(_MATH[func](values))


def _timestamp(evaluator: "Evaluator", context: Context, child: Node, steps: Steps) -> Grid:
    """Of the samples where a selector is asked directly, else of the steps."""
    if isinstance(child.expr, VectorSelector):
        once = child.once and steps.count > 1
        grid = ranges.selected(context, child, steps.once() if once else steps, over_time.TIMESTAMP)
        return grid.broadcast(steps).nameless()
    grid = evaluator.vector(child, steps)
    times = np.broadcast_to(steps.times / 1000, grid.values.shape)
    return grid.with_values(np.ascontiguousarray(times)).nameless()
