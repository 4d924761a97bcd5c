"""What is computed of native histograms on columns."""

from contextlib import closing

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.fast import aggregation
from app.engine.fast.context import Context, NotServed
from app.engine.fast.grid import Grid, Steps, Values, empty
from app.engine.fast.labels import LabelTable
from app.engine.fast.natives import Hints, NativeGrid, Natives, samples_held
from app.engine.fast.shape import Shape
from app.engine.fast.windowing import Window
from app.engine.histogram.statistics import NanObservations
from app.engine.kernels import native_values, native_windows, over_time, rates
from app.engine.kernels.native_sums import sum_natives
from app.engine.promql.ast import AggregateExpr, Span
from app.engine.promql.quoting import quoted

WINDOWS = frozenset(
    {rates.RATE, rates.INCREASE, rates.DELTA, rates.IRATE, rates.IDELTA, over_time.LAST, over_time.INSTANT}
)
"""The functions of range vectors that are computed, and selectors."""
STATISTICS = frozenset(
    "histogram_avg histogram_count histogram_stddev histogram_stdvar histogram_sum".split()
)
FUNCTIONS = STATISTICS | {"histogram_fraction"}
_BLOCK_FLOATS = 1 << 20
_REMARKS = {
    native_windows.NOT_A_COUNTER: "this native histogram metric is not a counter: ",
    native_windows.NOT_A_GAUGE: "this native histogram metric is not a gauge: ",
}
_OF_NANS = {
    native_values.RESULT_IS_NAN: NanObservations.RESULT_IS_NAN,
    native_values.SKEWED_HIGHER: NanObservations.SKEWED_HIGHER,
    native_values.EXCLUDED: NanObservations.EXCLUDED,
}
_UNKNOWN, _RESET, _NOT_RESET, _GAUGE = range(4)


def _joint(seen: int) -> int:
    """The hint of a sum of histograms with these, as bits."""
    if seen & 1 << _GAUGE:
        return _GAUGE
    return {1 << _RESET: _RESET, 1 << _NOT_RESET: _NOT_RESET}.get(seen, _UNKNOWN)


_JOINT = np.array([_joint(seen) for seen in range(16)], np.uint8)


def _block_rows(source: Natives, steps: int) -> int:
    return max(1, _BLOCK_FLOATS // max(1, steps * source.shape.width))


def _room(context: Context, rows: int, steps: int, shape: Shape) -> tuple[Values, Hints, Hints]:
    """Histograms, presence and hints, undefined."""
    array = context.budget.array
    return (
        array((rows, steps, shape.width), np.float64),
        array((rows, steps), np.uint8),
        array((rows, steps), np.uint8),
    )


def rows(context: Context, source: Natives, window: Window, span: Span, steps: Steps) -> NativeGrid:
    """A row for each series, also for those without a value.

    :param span: of the argument, for remarks.
    """
    size = len(source.labels)
    data, present, hints = _room(context, size, steps.count, source.shape)
    block = _block_rows(source, steps.count)
    remarks = np.zeros(size, np.uint8)

    def task(number: int) -> None:
        part = slice(number * block, (number + 1) * block)
        remarks[part] = source.run(window, part.start, data[part], present[part], hints[part])

    context.workers.each(-(-size // block), task)
    context.check()
    _remark(context, source.labels, remarks, span)
    return NativeGrid(source.labels, source.shape, data, present.view(np.bool_), hints, steps)


def _remark(context: Context, labels: LabelTable, remarks: Hints, span: Span) -> None:
    names = labels.column("__name__")
    for bit, text in _REMARKS.items():
        for number in np.unique(names[remarks & bit != 0]).tolist():
            context.annotations.warn(text + quoted(context.texts.text(number)), span)


# -- aggregations


class _Totals:
    """Mutable: what groups have gathered; see `sum_natives`."""

    def __init__(self, context: Context, groups: int, steps: int, shape: Shape) -> None:
        array = context.budget.array
        self.total = array((groups, steps, shape.width), np.float64)
        self.lost = array((groups, steps, shape.width), np.float64)
        self.count = array((groups, steps), np.int32)
        self.seen = array((groups, steps), np.uint8)
        for each in (self.total, self.lost, self.count, self.seen):
            each.fill(0)

    def add(
        self, context: Context, data: Values, present: Hints, hints: Hints, groups: NDArray[np.int64]
    ) -> None:
        """Rows of a block, in order."""
        sums = self.total, self.lost, self.count, self.seen
        sum_natives(data, present, hints, groups, *sums, context.cancel)

    def finished(self, *, average: bool) -> Values:
        """
        :raises NotServed: a mean overflows, which is then not the sum divided by the number.
        """
        if average:
            if np.isinf(self.total).any():
                raise NotServed("a mean of native histograms that overflows")
            number = np.maximum(self.count, 1)[:, :, None]
            self.total /= number
            self.lost /= number
        self.total += self.lost
        return self.total


def check_aggregation(expr: AggregateExpr) -> None:
    """
    :raises NotServed: it is not computed.
    """
    if expr.op not in ("sum", "avg", "count", "group"):
        raise NotServed(f"native histograms in aggregation {expr.op}")


def aggregated_source(
    context: Context,
    expr: AggregateExpr,
    source: Natives,
    window: Window,
    labels: LabelTable,
    span: Span,
    steps: Steps,
) -> tuple[Grid | NativeGrid, NDArray[np.bool_]]:
    """Aggregate what becomes of series, without keeping it.

    :param labels: of the rows that the kernel makes.
    :return: the groups, and which series have a value at any step.
    """
    check_aggregation(expr)
    if expr.op in ("count", "group"):
        grid = rows(context, source, window, span, steps)
        return aggregated_grid(context, expr, msgspec.structs.replace(grid, labels=labels)), grid.filled()
    kept = aggregation.group_labels(expr, labels)
    groups, count = kept.groups()
    totals = _Totals(context, count, steps.count, source.shape)
    size, block = len(source.labels), _block_rows(source, steps.count)
    filled, remarks = np.zeros(size, np.bool_), np.zeros(size, np.uint8)

    def task(number: int) -> tuple[Values, Hints, Hints]:
        part = slice(number * block, min(size, (number + 1) * block))
        made = _room(context, part.stop - part.start, steps.count, source.shape)
        remarks[part] = source.run(window, part.start, *made)
        return made

    with closing(context.workers.in_order(-(-size // block), task)) as blocks:
        for number, made in enumerate(blocks):
            part = slice(number * block, number * block + len(made[0]))
            filled[part] = made[1].any(axis=1)
            context.check()
            context.budget.hold(samples_held(source.shape, made[0], made[1].view(np.bool_)))
            totals.add(context, *made, groups[part])
    context.check()
    _remark(context, source.labels, remarks, span)
    return _summed(context, expr, totals, kept, groups, filled, source.shape, steps), filled


def aggregated_grid(context: Context, expr: AggregateExpr, grid: NativeGrid) -> Grid | NativeGrid:
    """Aggregate rows."""
    check_aggregation(expr)
    if expr.op in ("count", "group"):
        present = Grid(grid.labels, np.zeros(grid.present.shape), grid.present, grid.steps)
        return aggregation.of_grid(context, expr, present)
    kept = aggregation.group_labels(expr, grid.labels)
    groups, count = kept.groups()
    totals = _Totals(context, count, grid.steps.count, grid.shape)
    totals.add(context, grid.data, grid.present.view(np.uint8), grid.hints, groups)
    context.check()
    return _summed(context, expr, totals, kept, groups, grid.filled(), grid.shape, grid.steps)


def _summed(
    context: Context,
    expr: AggregateExpr,
    totals: _Totals,
    labels: LabelTable,
    groups: NDArray[np.int64],
    filled: NDArray[np.bool_],
    shape: Shape,
    steps: Steps,
) -> NativeGrid:
    data = totals.finished(average=expr.op == "avg")
    both = 1 << _RESET | 1 << _NOT_RESET
    if (totals.seen & both == both).any():
        context.annotations.warn("conflicting counter resets during histogram aggregation", expr.expr.span)
    order, first = aggregation.appearance(groups, filled, len(data))
    unnamed = LabelTable(context.texts, len(data), {})
    grid = NativeGrid(unnamed, shape, data, totals.count > 0, _JOINT[totals.seen], steps)
    if len(order) < len(data) or (np.diff(order) < 0).any():
        grid = grid.take(context, order)
    return msgspec.structs.replace(grid, labels=labels.take(first))


# -- functions


def values(
    context: Context, grid: NativeGrid, span: Span, first: Values, second: Values | None = None
) -> Grid:
    """histogram_quantile; with two arguments histogram_fraction.

    :param span: of the vector, for remarks.
    :param first: (steps,) float64.
    """
    out = context.values(*grid.present.shape)
    remarks = native_values.native_values(
        first,
        first if second is None else second,
        second is not None,
        grid.data,
        grid.present.view(np.uint8),
        grid.shape.zero,
        *grid.shape.bounds(),
        grid.shape.custom,
        out,
        context.cancel,
    )
    context.check()
    for bit, note in _OF_NANS.items():
        if remarks & bit:
            context.annotations.info(note.value, span)
    return _numbers(context, grid, out)


def _numbers(context: Context, grid: NativeGrid, numbers: Values) -> Grid:
    return Grid(grid.labels, numbers, grid.present, grid.steps).compact(context).nameless(context)


def statistic(context: Context, func: str, grid: NativeGrid) -> Grid:
    """One of `STATISTICS`."""
    count, total = grid.data[:, :, 0], grid.data[:, :, 1]
    with np.errstate(all="ignore"):
        match func:
            case "histogram_count":
                return _numbers(context, grid, count.copy())
            case "histogram_sum":
                return _numbers(context, grid, total.copy())
            case "histogram_avg":
                return _numbers(context, grid, total / count)
            case "histogram_stdvar":
                return _numbers(context, grid, _variance(grid))
            case _:
                return _numbers(context, grid, np.sqrt(_variance(grid)))


def _variance(grid: NativeGrid) -> Values:
    """Each observation is taken to lie in the middle of its bucket, as `statistics.variance` explains."""
    shape = grid.shape
    mean = grid.data[:, :, 1] / grid.data[:, :, 0]
    found, lost = np.zeros(mean.shape), np.zeros(mean.shape)
    for place, (low, high) in enumerate(zip(*shape.bounds(), strict=True)):
        if place < native_windows.ROW_BUCKETS:
            continue
        middle = (high + low) / 2 if shape.custom else 0.0 if low <= 0 <= high else np.sqrt(high * low)
        own = grid.data[:, :, place]
        there = own > 0 if place == shape.zero else own != 0
        distance = (-middle if high < 0 and not shape.custom else middle) - mean
        more, rest = _increment(own * distance * distance, found, lost)
        found, lost = np.where(there, more, found), np.where(there, rest, lost)
    return np.asarray((found + lost) / grid.data[:, :, 0])


def _increment(value: Values, total: Values, lost: Values) -> tuple[Values, Values]:
    new = total + value
    back = new - total
    rest = (total - (new - back)) + (value - back)
    return new, np.where(np.isinf(new), 0.0, lost + rest)


def of_floats(context: Context, func: str, grid: Grid) -> Grid:
    """The functions see histograms only.

    :raises NotServed: classic histograms are meant.
    """
    if func not in STATISTICS:
        raise NotServed(f"{func} of classic histograms")
    return empty(LabelTable(context.texts, 0, {}), grid.steps)


def scaled(context: Context, op: str, grid: NativeGrid, numbers: Values, *, swapped: bool) -> NativeGrid:
    """Multiplied with a scalar, or divided by one.

    :param numbers: (steps,) float64.
    :raises NotServed: it is another operator.
    """
    if op not in ("*", "/") or (op == "/" and swapped):
        raise NotServed(f"native histograms and operator {op}")
    by = numbers[None, :, None]
    context.budget.require(2 * grid.data.nbytes)
    with np.errstate(all="ignore"):
        data = grid.data * by if op == "*" else grid.data / by
    # A bucket without observations is not there, whatever it is multiplied with; divided by zero none is.
    gone = grid.data == 0 if op == "*" else (grid.data == 0) | (by == 0)
    gone[:, :, [0, 1, grid.shape.zero]] = False
    data[gone] = 0.0
    hints = np.where(numbers[None, :] < 0, np.uint8(_GAUGE), grid.hints)
    return msgspec.structs.replace(grid, data=data, hints=hints).nameless()
