"""Series that are not made of plain XOR chunks alone: downsampled aggregates and native histograms."""

from collections.abc import Sequence
from functools import reduce

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine import kernels
from app.engine.histogram.arithmetic import div
from app.engine.histogram.chunks import decode_histogram_chunk
from app.engine.histogram.columns import Columns, HistogramColumns, Layout, columns_of
from app.engine.histogram.model import FloatHistogram
from app.engine.model import STALE, EvaluationError, Labels, Series
from app.engine.select.intake import Bytes, Offsets
from app.engine.select.model import described
from app.pb.thanos import Aggr, ChunkEncoding, ShardInfo

Floats = NDArray[np.float64]


class Purpose(msgspec.Struct, frozen=True):
    """What a table is for.

    :param start, end: samples that count, milliseconds since the epoch, both inclusive.
    :param aggregates: what stands in for raw samples where a store has downsampled ones only.
    :param apart: whether chunks that overlap are of different replicas, which are to be merged.
    :param counter: whether merging adjusts them, being counters.
    :param shard: the only one that is wanted; None: all series.
    """

    start: int
    end: int
    aggregates: tuple[Aggr, ...] = (Aggr.COUNT, Aggr.SUM)
    apart: bool = True
    counter: bool = False
    chain: bool = False
    shard: ShardInfo | None = None


class OddLane(msgspec.Struct, frozen=True):
    """Chunks of one replica, by time; each array is (chunks,) int64, as kernels have them."""

    kind: Offsets
    offset: Offsets
    length: Offsets


class _Samples(msgspec.Struct, frozen=True):
    """As in a Series.

    :param rows: (samples,) int64, the histogram of each sample in `columns`, or what it is instead; empty
        where all are floats.
    """

    times: Offsets
    values: Floats
    rows: Offsets = np.empty(0, np.int64)
    columns: Columns | None = None

    @property
    def floats(self) -> Bytes:
        """0 at histograms and their markers; empty where there are none, as `penalty_merge` wants it."""
        return np.asarray(self.rows == kernels.A_FLOAT).astype(np.uint8)

    def mixed(self) -> tuple[Offsets, Columns]:
        """The rows also where all are floats."""
        if self.columns is None:
            return np.full(len(self.times), kernels.A_FLOAT, np.int64), columns_of([])
        return self.rows, self.columns


def decode_odd(data: Bytes, lanes: Sequence[OddLane], labels: Labels, purpose: Purpose) -> Series:
    """The samples of one series, its replicas merged.

    :param data: with `kernels.PADDING` bytes behind the last payload.
    :raises EvaluationError: a chunk cannot be read, or has not what was asked for.
    """
    try:
        found = [_lane(data, lane, purpose) for lane in lanes]
    except ValueError as error:
        raise EvaluationError(f"a chunk of the series {described(labels)} cannot be read: {error}") from None
    if len(found) > 1 and purpose.counter and not purpose.chain:
        found = [_without_resets(samples) for samples in found]
    merged = reduce(lambda a, b: _merged(a, b, purpose), found)
    if merged.columns is None:
        return Series(labels, merged.times, merged.values)
    return Series(labels, merged.times, merged.values, HistogramColumns(merged.rows, merged.columns))


def _lane(data: Bytes, lane: OddLane, purpose: Purpose) -> _Samples:
    """:raises ValueError: a chunk cannot be read."""
    wanted = _wanted(purpose)
    members: Offsets = np.empty((kernels.MEMBERS, 3), np.int64)
    room = int(kernels.count_aggregates(data, lane.kind, lane.offset, lane.length, members))
    if room == kernels.NOT_FLOATS:
        return read_histograms(data, lane, purpose) or _lane_of_objects(data, lane, wanted, purpose)
    if room < 0:
        raise ValueError("it is malformed")
    times, values = np.empty(room, np.int64), np.empty(room, np.float64)
    count = int(
        kernels.decode_aggregates(
            data, lane.kind, lane.offset, lane.length, wanted, purpose.start, purpose.end, members, times,
            values, np.empty(room, np.int64), np.empty(room, np.float64),
        )
    )  # fmt: skip
    if count < 0:
        raise ValueError("it is malformed, or does not have the aggregate that was asked for")
    return _Samples(times[:count], values[:count])


def _wanted(purpose: Purpose) -> int:
    if len(purpose.aggregates) > 1:
        return kernels.AVERAGE
    return {
        Aggr.COUNT: kernels.COUNT,
        Aggr.SUM: kernels.SUM,
        Aggr.MIN: kernels.MIN,
        Aggr.MAX: kernels.MAX,
        Aggr.COUNTER: kernels.COUNTER,
    }[purpose.aggregates[0]]


# -- histograms


_Sample = tuple[int, float | FloatHistogram | None]
"""None: a histogram's staleness marker."""


def read_histograms(data: Bytes, lane: OddLane, purpose: Purpose) -> _Samples | None:
    """A lane with histograms; None: it is not for kernels, being downsampled or malformed for example."""
    arrays = data, lane.kind, lane.offset, lane.length
    members: Offsets = np.empty((kernels.MEMBERS, 3), np.int64)
    sizes: Offsets = np.empty(kernels.HISTOGRAM_SIZES, np.int64)
    if kernels.measure_histograms(*arrays, members, sizes) < 0:
        return None
    samples, rows, buckets, layouts, indexes, limits, widest = sizes.tolist()
    state: Offsets = np.empty((3, widest + 3), np.int64)
    tables: Offsets = np.empty((layouts, kernels.LAYOUT_COLUMNS), np.int64)
    of_layouts = np.empty(layouts), np.empty(indexes, np.int64), np.empty(limits)
    times, values, places = np.empty(samples, np.int64), np.empty(samples), np.empty(samples, np.int64)
    numbers: Offsets = np.empty((rows, 3), np.int64)
    counts, heights = np.empty((rows, 3)), np.empty(buckets)
    code = kernels.decode_histograms(
        *arrays, purpose.start, purpose.end, members, state, tables, *of_layouts, times, values, places,
        numbers, counts, heights, sizes,
    )  # fmt: skip
    if code < 0:
        return None
    samples, rows, buckets, layouts = sizes[:4].tolist()
    columns = Columns(
        tuple(
            _layout(row, float(of_layouts[0][at]), *of_layouts[1:]) for at, row in enumerate(tables[:layouts])
        ),
        layout=numbers[:rows, 0].copy(),
        hint=numbers[:rows, 2].copy(),
        first=numbers[:rows, 1].copy(),
        numbers=_fitting(counts, rows),
        buckets=_fitting(heights, buckets),
    )
    return _Samples(times[:samples], values[:samples], places[:samples], columns)


def _fitting(array: Floats, used: int) -> Floats:
    """The part that is used, which should not hold on to room for very much more."""
    return array[:used].copy() if 4 * used < 3 * len(array) else array[:used]


def _layout(row: Offsets, threshold: float, indexes: Offsets, limits: Floats) -> Layout:
    schema, positive, negative, bounds, first, bound = row.tolist()
    own: list[int] = indexes[first : first + positive + negative].tolist()
    custom = tuple(limits[bound : bound + bounds].tolist())
    return Layout(schema, threshold, tuple(own[:positive]), tuple(own[positive:]), custom)


def _lane_of_objects(data: Bytes, lane: OddLane, wanted: int, purpose: Purpose) -> _Samples:
    """A lane with histograms, chunk by chunk and sample by sample.

    :raises ValueError: a chunk cannot be read.
    """
    kept: list[_Sample] = []
    last = purpose.start - 1
    for kind, offset, length in zip(
        lane.kind.tolist(), lane.offset.tolist(), lane.length.tolist(), strict=True
    ):
        if kind == kernels.PLAIN:
            found = _payload(data, int(ChunkEncoding.XOR), offset, offset + length)
        else:
            found = _aggregate(data, offset, length, wanted)
        for time, value in found:
            if last < time <= purpose.end:
                kept.append((time, value))
                last = time
    return _arranged(kept)


def _arranged(samples: Sequence[_Sample]) -> _Samples:
    histograms = [value for _, value in samples if isinstance(value, FloatHistogram)]
    values = [
        value.sum if isinstance(value, FloatHistogram) else STALE if value is None else value
        for _, value in samples
    ]
    rows = np.full(len(samples), kernels.A_FLOAT, np.int64)
    rows[[value is None for _, value in samples]] = kernels.A_MARKER
    rows[[isinstance(value, FloatHistogram) for _, value in samples]] = np.arange(len(histograms))
    times = np.array([time for time, _ in samples], np.int64)
    return _Samples(times, np.array(values, np.float64), rows, columns_of(histograms))


def _aggregate(data: Bytes, offset: int, length: int, wanted: int) -> Sequence[_Sample]:
    """What was asked for of one chunk that is not plain."""
    members: Offsets = np.empty((kernels.MEMBERS, 3), np.int64)
    if kernels.find_members(data, offset, length, members) < 0:
        raise ValueError("it is malformed")
    rows = members.tolist()

    def samples(number: int) -> Sequence[_Sample]:
        if rows[number][kernels.MEMBER_TYPE] < 0:
            raise ValueError("it does not have the aggregate that was asked for")
        return _payload(data, *rows[number])

    if rows[kernels.RAW][kernels.MEMBER_TYPE] >= 0:
        return samples(kernels.RAW)
    if wanted != kernels.AVERAGE:
        return samples(wanted)
    sums, counts = samples(kernels.SUM), samples(kernels.COUNT)
    if [time for time, _ in sums] != [time for time, _ in counts]:
        raise ValueError("its sums and counts are not of the same times")
    return [(time, _quotient(total, count)) for (time, total), (_, count) in zip(sums, counts, strict=True)]


def _quotient(
    total: float | FloatHistogram | None, count: float | FloatHistogram | None
) -> float | FloatHistogram | None:
    if total is None or not isinstance(count, float):
        return None
    if isinstance(total, FloatHistogram):
        return div(total, count)
    return total / count if count else float("nan")


def _payload(data: Bytes, encoding: int, start: int, end: int) -> Sequence[_Sample]:
    """All samples of one chunk."""
    if encoding == ChunkEncoding.XOR:
        room = int(kernels.sample_count(data, start, end - start))
        times, values = np.empty(max(room, 0), np.int64), np.empty(max(room, 0), np.float64)
        far = kernels.FARTHEST
        count, _ = kernels.decode_chunk(
            data, start, end - start, -far, far, True, times, values.view(np.uint64), 0
        )
        if room < 0 or count < 0:
            raise ValueError("it is malformed")
        return list(zip(times[:count].tolist(), values[:count].tolist(), strict=True))
    if encoding not in (ChunkEncoding.HISTOGRAM, ChunkEncoding.FLOAT_HISTOGRAM):
        raise ValueError(f"its encoding {encoding} is not known")
    floats = encoding == ChunkEncoding.FLOAT_HISTOGRAM
    return list[_Sample](decode_histogram_chunk(data[start:end].tobytes(), floats=floats))


# -- replicas


def _without_resets(samples: _Samples) -> _Samples:
    """Floats as running totals without NaNs; histograms as they are."""
    rows, columns = samples.mixed()
    are_floats = rows == kernels.A_FLOAT
    times, values = samples.times[are_floats], samples.values[are_floats]
    count = int(kernels.remove_resets(times, values, len(times)))
    if samples.columns is None:
        return _Samples(times[:count], values[:count])
    other = ~are_floats
    times = np.concatenate([times[:count], samples.times[other]])
    values = np.concatenate([values[:count], samples.values[other]])
    rows = np.concatenate([np.full(count, kernels.A_FLOAT), rows[other]])
    order = np.argsort(times, kind="stable")
    return _Samples(times[order], values[order], rows[order], columns)


def _merged(a: _Samples, b: _Samples, purpose: Purpose) -> _Samples:
    room = len(a.times) + len(b.times)
    times, values = np.empty(room, np.int64), np.empty(room, np.float64)
    picks: Offsets = np.empty(room, np.int64)
    one = a.times, a.values, len(a.times), b.times, b.values, len(b.times)
    if purpose.chain:
        count = int(kernels.chain_merge(*one, times, values, picks))
    else:
        count = int(kernels.penalty_merge(*one, purpose.counter, a.floats, b.floats, times, values, picks))
    if a.columns is None and b.columns is None:
        return _Samples(times[:count], values[:count])
    (rows, columns), (others, theirs) = a.mixed(), b.mixed()
    shifted = np.where(others >= 0, others + len(columns), others)
    picked = picks[:count]
    # A pick of b is written as its complement: so they stand behind those of a, from the end.
    rows = np.concatenate([rows, shifted[::-1]])[picked]
    return _Samples(times[:count], values[:count], rows, columns.beside(theirs))
