"""Native histograms as a vector at all steps at once, and the series that they come from."""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.budget import HISTOGRAM_BYTES, Budget
from app.engine.fast.context import Context, NotServed
from app.engine.fast.grid import Present, Steps, Values
from app.engine.fast.labels import METADATA, LabelTable, from_columns
from app.engine.fast.shape import Shape, common_shape, targets
from app.engine.fast.windowing import Window
from app.engine.histogram.columns import Columns, HistogramColumns, Layout
from app.engine.histogram.floats import STALE_BITS
from app.engine.histogram.model import FloatHistogram
from app.engine.kernels.native_windows import ROW_BUCKETS, native_windows
from app.engine.measuring import HISTOGRAM, SAMPLE
from app.engine.model import Matrix, Query, Row, Sample, Series, Vector
from app.engine.select.model import ChunkTable

Hints = NDArray[np.uint8]


class NativeGrid(msgspec.Struct, frozen=True):
    """
    :param data: (series, steps, `shape.width`) float64, undefined where nothing is `present`.
    :param present: (series, steps) bool.
    :param hints: (series, steps) uint8, what is known of resets, by the numbers of columns.
    """

    labels: LabelTable
    shape: Shape
    data: Values
    present: Present
    hints: Hints
    steps: Steps

    def __len__(self) -> int:
        return len(self.labels)

    def held(self) -> int:
        """Samples, as a limit of them counts."""
        return samples_held(self.shape, self.data, self.present)

    def filled(self) -> NDArray[np.bool_]:
        """(series,) bool: whether a row has a value at any step."""
        return np.asarray(self.present.any(axis=1))

    def take(self, context: Context, rows: NDArray[np.intp]) -> "NativeGrid":
        """Some of the rows, in the order given."""
        context.budget.require(8 * len(rows) * self.steps.count * self.shape.width)
        labels = self.labels.take(rows)
        return NativeGrid(
            labels, self.shape, self.data[rows], self.present[rows], self.hints[rows], self.steps
        )

    def compact(self, context: Context) -> "NativeGrid":
        """Without rows that have nothing at any step."""
        filled = self.filled()
        return self if filled.all() else self.take(context, np.flatnonzero(filled))

    def broadcast(self, context: Context, steps: Steps) -> "NativeGrid":
        """What holds at one step, at all."""
        shape = (len(self), steps.count)
        context.budget.require(8 * len(self) * steps.count * self.shape.width)
        return NativeGrid(
            self.labels,
            self.shape,
            np.ascontiguousarray(np.broadcast_to(self.data, (*shape, self.shape.width))),
            np.ascontiguousarray(np.broadcast_to(self.present, shape)),
            np.ascontiguousarray(np.broadcast_to(self.hints, shape)),
            steps,
        )

    def nameless(self) -> "NativeGrid":
        """Without the metric's name.

        :raises NotServed: rows may become equal.
        """
        if not self.labels.constant(METADATA):
            raise NotServed("native histograms of different names that lose them")
        return msgspec.structs.replace(self, labels=self.labels.without(METADATA))


def samples_held(shape: Shape, data: Values, present: Present) -> int:
    """As many samples as take up the memory of the histograms, as Prometheus counts them.

    :param data, present: as in a grid.
    """
    found, zero = 0, shape.zero
    for row, there in zip(data, present, strict=True):
        size = np.full(int(np.count_nonzero(there)), HISTOGRAM + 8 * len(shape.custom_values))
        for side in (row[there, ROW_BUCKETS:zero] != 0, row[there, zero + 1 :] != 0):
            spans = side[:, :1].sum(axis=1) + (side[:, 1:] & ~side[:, :-1]).sum(axis=1)
            size += 8 * (side.sum(axis=1) + spans)
        found += int(((size + 8) // SAMPLE).sum())
    return found


class Natives:
    """The series of a table in which all samples are native histograms of one layout.

    :raises NotServed: they are not.
    """

    def __init__(self, context: Context, table: ChunkTable) -> None:
        self.labels = from_columns(context.texts, table.columns)
        self._context = context
        if len(table.decoded) < len(table):
            raise NotServed("native histograms and floats in the data")
        self._series = [_restricted(table.decoded[row], table) for row in range(len(table))]
        self._columns = [histograms.columns for _, histograms in self._series]
        used = {id(layout): layout for columns in self._columns for layout in columns.layouts}
        self.shape = common_shape(used.values())
        self._targets: dict[tuple[Layout, ...], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def run(self, window: Window, first: int, data: Values, present: Hints, hints: Hints) -> Hints:
        """Fill as many rows as `data` has, beginning with series `first`.

        :return: (rows,) uint8: what there is to remark of each.
        """
        remarks = np.zeros(len(data), np.uint8)
        for place in range(len(data)):
            if self._context.cancel[0]:
                break
            columns = self._columns[first + place]
            times, histograms = self._series[first + place]
            found = self._targets.get(columns.layouts)
            if found is None:
                found = self._targets[columns.layouts] = targets(self.shape, columns.layouts)
            remarks[place] = native_windows(
                window.function,
                times,
                histograms.rows,
                columns.layout,
                columns.hint,
                columns.first,
                columns.numbers,
                columns.buckets,
                *found,
                self.shape.zero,
                window.length,
                int(window.closed),
                window.ends,
                window.seconds,
                data[place],
                present[place],
                hints[place],
                self._context.cancel,
            )
        return remarks


def are_native(table: ChunkTable) -> bool:
    """Whether there are histograms in a table."""
    return any(series.histograms for series in table.decoded.values())


def _restricted(series: Series, table: ChunkTable) -> tuple[NDArray[np.int64], HistogramColumns]:
    """The samples that count, as columns.

    :raises NotServed: there are floats among them.
    """
    found = HistogramColumns.of(series.histograms, len(series.times))
    floats = found.rows < 0
    if (series.values[floats].view(np.uint64) != STALE_BITS).any():
        raise NotServed("native histograms and floats in the data")
    chosen = (series.times >= table.start) & (series.times <= table.end)
    if chosen.all():
        return series.times, found
    return series.times[chosen], HistogramColumns(found.rows[chosen], found.columns)


def to_value(grid: NativeGrid, query: Query, budget: Budget, *, single: bool) -> Matrix | Vector:
    """The result as objects; histograms of a matrix are made when they are looked at.

    :raises TooMuchMemory: the budget has no room for them.
    """
    filled = grid.filled()
    count = int(np.count_nonzero(grid.present))
    budget.take(count * (HISTOGRAM_BYTES if single else 8 * (grid.shape.width + ROW_BUCKETS)))
    if single:
        samples = []
        for row in np.flatnonzero(filled).tolist():
            (histogram,) = _histograms(grid, row).values()
            samples.append(Sample(grid.labels.of(row), histogram, query.start))
        return Vector(samples)
    rows = []
    for row in grid.labels.order()[filled[grid.labels.order()]].tolist():
        times = grid.steps.times[grid.present[row]]
        rows.append(Row(grid.labels.of(row), times, np.zeros(len(times)), _histograms(grid, row)))
    return Matrix(rows)


def _histograms(grid: NativeGrid, row: int) -> Mapping[int, FloatHistogram]:
    shape, present = grid.shape, grid.present[row]
    data = grid.data[row][present]
    negative, positive = data[:, ROW_BUCKETS : shape.zero][:, ::-1], data[:, shape.zero + 1 :]
    count, width = len(data), positive.shape[1] + negative.shape[1]
    columns = Columns(
        (shape.layout(),),
        layout=np.zeros(count, np.int64),
        hint=grid.hints[row][present].astype(np.int64),
        first=np.arange(count, dtype=np.int64) * width,
        numbers=np.stack([data[:, 0], data[:, 1], data[:, shape.zero]], axis=1),
        buckets=np.concatenate([positive, negative], axis=1).reshape(-1),
    )
    return HistogramColumns(np.arange(count, dtype=np.int64), columns, kept=0)
