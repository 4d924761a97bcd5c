"""Series that are not made of plain XOR chunks alone: downsampled aggregates and native histograms."""

from collections.abc import Mapping, Sequence
from functools import reduce

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine import kernels
from app.engine.histogram.arithmetic import div
from app.engine.histogram.chunks import decode_histogram_chunk
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

    :param marked: positions of histograms' staleness markers, which are no floats either.
    """

    times: Offsets
    values: Floats
    histograms: Mapping[int, FloatHistogram] = {}
    marked: frozenset[int] = frozenset()

    @property
    def floats(self) -> Bytes:
        """0 at histograms; empty where there are none, as `penalty_merge` wants it."""
        if not self.histograms and not self.marked:
            return np.empty(0, np.uint8)
        found: Bytes = np.ones(len(self.times), np.uint8)
        found[[*self.histograms, *self.marked]] = 0
        return found


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
    return Series(labels, merged.times, merged.values, merged.histograms)


def _lane(data: Bytes, lane: OddLane, purpose: Purpose) -> _Samples:
    """:raises ValueError: a chunk cannot be read."""
    wanted = _wanted(purpose)
    members: Offsets = np.empty((kernels.MEMBERS, 3), np.int64)
    room = int(kernels.count_aggregates(data, lane.kind, lane.offset, lane.length, members))
    if room == kernels.NOT_FLOATS:
        return _mixed_lane(data, lane, wanted, purpose)
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


def _mixed_lane(data: Bytes, lane: OddLane, wanted: int, purpose: Purpose) -> _Samples:
    """A lane with histograms, chunk by chunk."""
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
    histograms = {at: value for at, (_, value) in enumerate(samples) if isinstance(value, FloatHistogram)}
    marked = frozenset(at for at, (_, value) in enumerate(samples) if value is None)
    values = [
        value.sum if isinstance(value, FloatHistogram) else STALE if value is None else value
        for _, value in samples
    ]
    times = np.array([time for time, _ in samples], np.int64)
    return _Samples(times, np.array(values, np.float64), histograms, marked)


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
    other = sorted({*samples.histograms, *samples.marked})
    are_floats = np.ones(len(samples.times), np.bool_)
    are_floats[other] = False
    times, values = samples.times[are_floats], samples.values[are_floats]
    count = int(kernels.remove_resets(times, values, len(times)))
    if not other:
        return _Samples(times[:count], values[:count])
    found: list[_Sample] = list(zip(times[:count].tolist(), values[:count].tolist(), strict=True))
    found += [(int(samples.times[at]), samples.histograms.get(at)) for at in other]
    return _arranged(sorted(found, key=lambda sample: sample[0]))


def _merged(a: _Samples, b: _Samples, purpose: Purpose) -> _Samples:
    room = len(a.times) + len(b.times)
    times, values = np.empty(room, np.int64), np.empty(room, np.float64)
    picks: Offsets = np.empty(room, np.int64)
    one = a.times, a.values, len(a.times), b.times, b.values, len(b.times)
    if purpose.chain:
        count = int(kernels.chain_merge(*one, times, values, picks))
    else:
        count = int(kernels.penalty_merge(*one, purpose.counter, a.floats, b.floats, times, values, picks))
    histograms, marked = {}, set()
    if len(a.floats) or len(b.floats):
        for at, pick in enumerate(picks[:count].tolist()):
            side, position = (a, pick) if pick >= 0 else (b, ~pick)
            if position in side.histograms:
                histograms[at] = side.histograms[position]
            elif position in side.marked:
                marked.add(at)
    return _Samples(times[:count], values[:count], histograms, frozenset(marked))
