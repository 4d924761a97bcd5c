"""Selectors and functions of range vectors: series as they are, through a kernel, to rows or groups."""

from contextlib import closing
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.fast.context import BLOCK_POINTS, Context, NotServed
from app.engine.fast.grid import Grid, Present, Steps, Times, Values
from app.engine.fast.labels import LabelTable, from_columns
from app.engine.histogram.floats import STALE_BITS
from app.engine.kernels import aggregate, over_time
from app.engine.kernels.windows import chunk_windows, point_windows
from app.engine.model import EvaluationError
from app.engine.select.decode import mode
from app.engine.select.model import ChunkTable, described


class Window(msgspec.Struct, frozen=True):
    """What a kernel is told.

    :param function: a number of `app.engine.kernels`.
    :param length: of a window, milliseconds; for an instant selector the lookback.
    :param ends: (steps,) int64, where windows end.
    :param moments: (steps,) int64, the steps.
    :param parameter: (steps,) float64, where the function has one.
    """

    function: int
    length: int
    closed: bool
    ends: Times
    moments: Times
    parameter: Values

    @property
    def frame(self) -> NDArray[np.int64]:
        return np.array([self.length, int(self.closed)], np.int64)

    @property
    def seconds(self) -> float:
        """As Go makes a float of a duration."""
        whole, rest = divmod(self.length, 1000)
        return whole + rest * 1_000_000 / 1e9


class Source(Protocol):
    """Series with samples."""

    labels: LabelTable

    def run(
        self, window: Window, first: int, out: Values, present: NDArray[np.uint8], cancel: NDArray[np.uint8]
    ) -> None:
        """Fill as many rows as `out` has, beginning with series `first`."""
        ...


_OF_TIMES = frozenset(
    {over_time.TIMESTAMP, over_time.COUNT, over_time.PRESENT, over_time.FIRST_TIME, over_time.LAST_TIME}
)
"""Functions to which it is all the same what the samples are."""


class Chunks(Source):
    """The series of a table.

    :param function: that is asked of them.
    :ivar native: whether there are native histograms.
    :raises NotServed: it wants floats, and they have histograms.
    """

    def __init__(self, context: Context, table: ChunkTable, function: int) -> None:
        self.native = any(series.histograms for series in table.decoded.values())
        if self.native and function not in _OF_TIMES:
            raise NotServed("native histograms in the data")
        self.labels = from_columns(context.texts, table.columns)
        self._table = table
        self._rules = np.array([table.start, table.end, mode(table)], np.int64)

    def run(
        self, window: Window, first: int, out: Values, present: NDArray[np.uint8], cancel: NDArray[np.uint8]
    ) -> None:
        table = self._table
        broken = chunk_windows(
            window.function,
            table.data,
            table.lanes,
            table.chunks,
            table.offset,
            table.length,
            self._rules,
            first,
            first + len(out),
            window.frame,
            window.ends,
            window.moments,
            window.seconds,
            window.parameter,
            out,
            present,
            cancel,
        )
        if broken >= 0:
            labels = described(table.columns.of(int(broken)))
            raise EvaluationError(f"a chunk of the series {labels} cannot be read")
        for place in table.decoded:
            if first <= place < first + len(out):
                row = slice(place - first, place - first + 1)
                self._decoded(window, place, out[row], present[row], cancel)

    def _decoded(
        self, window: Window, place: int, out: Values, present: NDArray[np.uint8], cancel: NDArray[np.uint8]
    ) -> None:
        series, table = self._table.decoded[place], self._table
        chosen = (series.times >= table.start) & (series.times <= table.end)
        if window.function not in (over_time.INSTANT, over_time.TIMESTAMP):
            chosen &= series.values.view(np.uint64) != STALE_BITS
        starts = np.array([0, chosen.sum()], np.int64)
        _run_points(window, series.times[chosen], series.values[chosen], starts, out, present, cancel)


class Points(Source):
    """What a subquery found at its own steps."""

    def __init__(self, context: Context, grid: Grid) -> None:
        self.labels = grid.labels
        self._starts = np.concatenate(([0], np.cumsum(np.count_nonzero(grid.present, axis=1)))).astype(
            np.int64
        )
        size = (int(self._starts[-1]),)
        self._times = times = context.budget.array(size, np.int64)
        self._values = values = context.budget.array(size, np.float64)
        moments = grid.steps.times
        high = max(1, BLOCK_POINTS // max(1, grid.steps.count))

        def task(number: int) -> None:
            if not context.cancel[0]:
                rows = slice(number * high, (number + 1) * high)
                present = grid.present[rows]
                place = slice(self._starts[rows.start], self._starts[min(len(grid), rows.stop)])
                times[place] = np.broadcast_to(moments, present.shape)[present]
                values[place] = grid.values[rows][present]

        context.workers.each(-(-len(grid) // high), task)
        context.check()

    def run(
        self, window: Window, first: int, out: Values, present: NDArray[np.uint8], cancel: NDArray[np.uint8]
    ) -> None:
        starts = self._starts[first : first + len(out) + 1]
        _run_points(window, self._times, self._values, starts, out, present, cancel)


def _run_points(
    window: Window,
    times: Times,
    values: Values,
    starts: NDArray[np.int64],
    out: Values,
    present: NDArray[np.uint8],
    cancel: NDArray[np.uint8],
) -> None:
    point_windows(
        window.function,
        times,
        values,
        starts,
        window.frame,
        window.ends,
        window.moments,
        window.seconds,
        window.parameter,
        out,
        present,
        cancel,
    )


def _block_rows(steps: int) -> int:
    return min(1024, max(16, BLOCK_POINTS // max(1, steps)))


def rows(context: Context, source: Source, window: Window, steps: Steps) -> Grid:
    """A row for each series, also for those without a value."""
    size = len(source.labels)
    values, present = context.values(size, steps.count), context.flags(size, steps.count)
    block = _block_rows(steps.count)

    def task(number: int) -> None:
        part = slice(number * block, (number + 1) * block)
        if context.cancel[0]:
            return
        source.run(window, part.start, values[part], present[part].view(np.uint8), context.cancel)

    context.workers.each(-(-size // block), task)
    context.check()
    return Grid(source.labels, values, present, steps)


class Totals:
    """Mutable: what groups have gathered, `(groups, steps)` each; see `aggregate.accumulate`."""

    def __init__(self, context: Context, operator: int, groups: int, steps: int) -> None:
        self._context = context
        self._operator = operator
        shape = (groups, steps)
        small = (groups, 1)  # for what an operator has no use
        compensates = operator in (aggregate.SUM, aggregate.AVERAGE)
        self.total = context.values(*shape)
        self._lost = context.values(*(shape if compensates or operator >= aggregate.DEVIATION else small))
        self._count = context.budget.array(shape, np.int32)
        self._moving = context.budget.array(shape if operator == aggregate.AVERAGE else small, np.uint8)
        for each in (self.total, self._lost, self._count, self._moving):
            each.fill(0)

    def add(
        self,
        values: Values,
        present: NDArray[np.uint8],
        groups: NDArray[np.int64],
        steps: tuple[int, int],
        cancel: NDArray[np.uint8],
    ) -> None:
        """Rows of a block, in order; `steps` bounds the columns that are taken."""
        aggregate.accumulate(
            self._operator,
            values,
            present,
            groups,
            *steps,
            self.total,
            self._lost,
            self._count,
            self._moving,
            cancel,
        )

    def finished(self) -> tuple[Values, Present]:
        present, cancel = self._context.flags(*self.total.shape), self._context.cancel
        there = present.view(np.uint8)
        aggregate.finish(self._operator, self.total, self._lost, self._count, self._moving, there, cancel)
        self._context.check()
        return self.total, present


def summed_blocks(
    context: Context, source: Source, window: Window, groups: NDArray[np.int64], totals: Totals
) -> Present:
    """Rows into groups, in the order of the series whatever the number of threads; never all rows at once.

    :return: (series,) bool, which series have a value at any step.
    """
    size, steps = len(source.labels), len(window.ends)
    block = _block_rows(steps)
    filled = np.zeros(size, np.bool_)
    context.budget.require(2 * context.workers.threads * 9 * block * steps)
    spare: list[tuple[Values, NDArray[np.uint8]]] = []  # fresh memory costs as much as summing it

    def task(number: int) -> tuple[Values, NDArray[np.uint8]]:
        count = min(block, size - number * block)
        try:
            values, present = spare.pop()
        except IndexError:
            values, present = np.empty((block, steps)), np.empty((block, steps), np.uint8)
        values, present = values[:count], present[:count]
        source.run(window, number * block, values, present, context.cancel)
        return values, present

    with closing(context.workers.in_order(-(-size // block), task)) as blocks:
        for number, made in enumerate(blocks):
            values, present = made
            part = slice(number * block, number * block + len(values))
            filled[part] = present.any(axis=1)
            context.check()
            context.budget.hold(int(np.count_nonzero(present)))
            totals.add(values, present, groups[part], (0, steps), context.cancel)
            if len(values) == block:
                spare.append(made)
    context.check()
    return filled
