"""Chunks of native histograms, as Prometheus stores and Thanos's StoreAPI sends them, read into histograms.

A chunk is a header of three bytes, then bits. The header: the number of samples (two bytes), and a byte whose
highest two bits say what is known of counter resets. The bits: the layout all samples have, then for each
sample time, count, zero count, sum, and buckets, coded as differences to the sample before. Sources are
tsdb/chunkenc/histogram.go, float_histogram.go and histogram_meta.go of Prometheus 3.14.
"""

import math
import struct
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from app.engine.histogram.bitstream import BitReader, XorFloat
from app.engine.histogram.floats import STALE_BITS, bits
from app.engine.histogram.layout import at_schema
from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, ResetHint

HistogramSample = tuple[int, FloatHistogram | None]
"""Milliseconds since the epoch, and the histogram; None: the staleness marker, with which a series ends."""

_HEADER = struct.Struct(">HB")
_GAUGE = 0b11
_HIGHEST_SCHEMA = 8
_KNOWN_SCHEMAS = range(-9, 53)
_INDEXES = range(-(1 << 31), 1 << 31)
_HALF = 1 << 63


class _Layout(msgspec.Struct, frozen=True):
    """What the samples of a chunk have in common.

    :param positive: the indexes of the stored buckets, rising; a stored bucket can be empty.
    """

    schema: int
    zero_threshold: float
    positive: Sequence[int]
    negative: Sequence[int]
    custom_values: tuple[float, ...]


def decode_histogram_chunk(data: bytes, *, floats: bool) -> list[HistogramSample]:
    """The samples of a chunk.

    The first sample's hint is unknown, whatever the header says: the chunk before may be missing, or may have
    been written later. The others follow no reset, as a reset begins a new chunk. All are gauges in a chunk
    of gauges. Schemas above 8, which later Prometheus versions may write, are reduced to 8.

    :param data: what a Thanos `Chunk` message carries.
    :param floats: its encoding is FLOAT_HISTOGRAM, and not HISTOGRAM.
    :raises ValueError: it is cut short, or malformed.
    """
    if len(data) < _HEADER.size:
        raise ValueError(f"a chunk of {len(data)} bytes has no header")
    number, flags = _HEADER.unpack_from(data)
    if not number:
        return []
    reader = BitReader(data[_HEADER.size :])
    layout = _read_layout(reader)
    samples: list[HistogramSample] = []
    hint = first = ResetHint.GAUGE if flags >> 6 == _GAUGE else ResetHint.UNKNOWN
    for time, values in (
        _float_samples(reader, layout, number) if floats else _samples(reader, layout, number)
    ):
        samples.append((time, None if values is None else _histogram(layout, values, hint)))
        hint = first if first is ResetHint.GAUGE else ResetHint.NOT_RESET
    return samples


_Values = tuple[float, float, float, Sequence[float], Sequence[float]]
"""Count, zero count, sum, and the counts of the positive and of the negative buckets."""


def _histogram(layout: _Layout, values: _Values, hint: ResetHint) -> FloatHistogram:
    count, zero_count, total, positive, negative = values
    h = FloatHistogram(
        schema=layout.schema,
        zero_threshold=layout.zero_threshold,
        zero_count=zero_count,
        count=count,
        sum=total,
        positive={index: n for index, n in zip(layout.positive, positive, strict=True) if n != 0},
        negative={index: n for index, n in zip(layout.negative, negative, strict=True) if n != 0},
        custom_values=layout.custom_values,
        reset_hint=hint,
    )
    if h.schema > _HIGHEST_SCHEMA:
        return msgspec.structs.replace(at_schema(h, _HIGHEST_SCHEMA), reset_hint=hint)
    return h


def _read_layout(reader: BitReader) -> _Layout:
    threshold = _read_zero_threshold(reader)
    schema = reader.signed()
    custom = schema == CUSTOM_SCHEMA
    if not custom and schema not in _KNOWN_SCHEMAS:
        raise ValueError(f"the chunk has an unknown schema, {schema}")
    positive, negative = _read_spans(reader), _read_spans(reader)
    bounds = _read_bounds(reader) if custom else ()
    if custom and (negative or (positive and not 0 <= positive[0] <= positive[-1] <= len(bounds))):
        raise ValueError("the chunk has custom buckets outside its bounds")
    return _Layout(schema, threshold, positive, negative, bounds)


def _read_zero_threshold(reader: BitReader) -> float:
    """A byte: 0, or an exponent, or 255 before a float."""
    first = reader.take(8)
    if first == 0:
        return 0.0
    if first < 255:
        return math.ldexp(0.5, first - 243)
    threshold = reader.float()
    if not 0 <= threshold < math.inf:
        raise ValueError(f"the chunk has a zero threshold of {threshold}")
    return threshold


def _read_spans(reader: BitReader) -> list[int]:
    """The indexes of the buckets; stored as lengths, and distances to the end of the span before."""
    indexes: list[int] = []
    start = 0
    for number in range(reader.unsigned()):
        length, offset = reader.unsigned(), reader.signed()
        start += offset
        # Every bucket takes a bit at least: a length that cannot be is refused before it takes memory.
        if (number and offset < 0) or length > reader.left:
            raise ValueError("the chunk has a malformed span of buckets")
        indexes.extend(range(start, start + length))
        start += length
        if start not in _INDEXES or len(indexes) > reader.left:
            raise ValueError("the chunk has a span of buckets out of range")
    return indexes


def _read_bounds(reader: BitReader) -> tuple[float, ...]:
    """Each is a whole number of thousandths, plus one, or 0 before a float."""
    bounds: list[float] = []
    for _ in range(reader.unsigned()):
        stored = reader.unsigned()
        bound = (stored - 1) / 1000 if stored else reader.float()
        if not math.isfinite(bound) or (bounds and bound <= bounds[-1]):
            raise ValueError("the chunk has custom bounds that do not rise")
        bounds.append(bound)
    return tuple(bounds)


def _is_stale(total: float) -> bool:
    return bits(total) == STALE_BITS


def _int64(value: int) -> int:
    """Wrapped around as Go's int64 is."""
    if -_HALF <= value < _HALF:
        return value
    return (value + _HALF) % (2 * _HALF) - _HALF


class _Counter:
    """Mutable: an integer that is stored as the change of its difference to the one before."""

    __slots__ = ("_step", "value")

    def __init__(self, value: int) -> None:
        self.value = value
        self._step = 0

    def advance(self, reader: BitReader) -> int:
        change = reader.signed()
        if change:
            self._step = _int64(self._step + change)
        self.value = _int64(self.value + self._step)
        return self.value


class _Buckets:
    """Mutable: the buckets of one sign. What is stored is a bucket's difference to the one below it, and of
    that, as of any `_Counter`, the change of its difference to the sample before."""

    def __init__(self, reader: BitReader, number: int) -> None:
        self._values = np.array(reader.signed_many(number), np.int64)
        self._steps = np.zeros(number, np.int64)

    def advance(self, reader: BitReader) -> None:
        self._steps += np.array(reader.signed_many(len(self._steps)), np.int64)
        self._values += self._steps

    def absolute(self) -> list[float]:
        counts: list[float] = np.cumsum(self._values).astype(np.float64).tolist()
        return counts


def _samples(reader: BitReader, layout: _Layout, number: int) -> Iterator[tuple[int, _Values | None]]:
    """Of a chunk of integers."""
    time = _Counter(reader.signed())
    counts = [_Counter(reader.unsigned()) for _ in range(2)]
    total = XorFloat(reader.float())
    positive, negative = _Buckets(reader, len(layout.positive)), _Buckets(reader, len(layout.negative))
    for position in range(number):
        if position:
            for stored in (time, *counts):
                stored.advance(reader)
            # A staleness marker has no buckets.
            if not _is_stale(total.advance(reader)):
                positive.advance(reader)
                negative.advance(reader)
        if _is_stale(total.value):
            yield time.value, None
            continue
        count, zero_count = (float(stored.value % (1 << 64)) for stored in counts)
        yield time.value, (count, zero_count, total.value, positive.absolute(), negative.absolute())


def _float_samples(reader: BitReader, layout: _Layout, number: int) -> Iterator[tuple[int, _Values | None]]:
    """Of a chunk of floats."""
    time = _Counter(reader.signed())
    count, zero_count, total = (XorFloat(reader.float()) for _ in range(3))
    positive = [XorFloat(reader.float()) for _ in layout.positive]
    negative = [XorFloat(reader.float()) for _ in layout.negative]
    for position in range(number):
        if position:
            time.advance(reader)
            count.advance(reader)
            zero_count.advance(reader)
            if not _is_stale(total.advance(reader)):
                for stored in (*positive, *negative):
                    stored.advance(reader)
        if _is_stale(total.value):
            yield time.value, None
            continue
        buckets = [[stored.value for stored in side] for side in (positive, negative)]
        yield time.value, (count.value, zero_count.value, total.value, buckets[0], buckets[1])
