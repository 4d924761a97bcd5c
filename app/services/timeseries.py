"""Results of queries as TimeSeries messages, written with numpy: one message object a sample would cost more
than the query. Pure.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from app.engine.histogram.model import FloatHistogram, ResetHint
from app.engine.model import Labels, Matrix, Row, Sample, Scalar, String, Value, Vector
from app.engine.promql.quoting import utf8
from app.fanout.wire import field, framed, varint
from app.pb.prometheus_copy import BucketSpan, Histogram, HistogramResetHint

MESSAGE = 1024 * 1024
"""Bytes from which on no series is added to a message; a series is never divided, since clients would take
its parts for two."""

_SERIES, _BATCH = 2, 4  # of a response
_LABELS, _SAMPLES, _HISTOGRAMS = 1, 2, 4  # of a TimeSeries
_VALUE, _TIME = 0x09, 0x10  # tags of a Sample
_UNSIGNED = 2**64 - 1
_BEYOND = np.array([1 << bits for bits in range(7, 64, 7)], np.uint64)
"""The least numbers whose varints take 2, 3, … 10 bytes."""
_HINTS = {
    ResetHint.UNKNOWN: HistogramResetHint.UNKNOWN,
    ResetHint.RESET: HistogramResetHint.YES,
    ResetHint.NOT_RESET: HistogramResetHint.NO,
    ResetHint.GAUGE: HistogramResetHint.GAUGE,
}


def messages(value: Value, together: int) -> Iterator[bytes]:
    """A result as framed responses of Query and of QueryRange, which are the same on the wire.

    :param together: series to a message; up to 1: each has its own.
    """
    if together <= 1:
        for each in series(value):
            yield framed(field(_SERIES, each))
        return
    held, size = list[bytes](), 0
    for each in series(value):
        held.append(field(1, each))
        size += len(each)
        if len(held) >= together or size >= MESSAGE:
            yield framed(field(_BATCH, b"".join(held)))
            held, size = [], 0
    if held:
        yield framed(field(_BATCH, b"".join(held)))


def series(value: Value) -> Iterator[bytes]:
    """Each series of a result as a TimeSeries; of a scalar one without labels, of a string none."""
    match value:
        case Scalar():
            yield _sample(value.time, value.value)
        case Vector():
            for each in value.samples:
                yield _of_sample(each)
        case Matrix():
            for row in value.rows:
                yield _of_row(row)
        case String():
            return


def _of_sample(sample: Sample) -> bytes:
    labels = _labels(sample.labels)
    if isinstance(sample.value, FloatHistogram):
        return labels + field(_HISTOGRAMS, bytes(histogram(sample.time, sample.value)))
    return labels + _sample(sample.time, sample.value)


def _sample(time: int, value: float) -> bytes:
    content = struct.pack("<Bd", _VALUE, value) + bytes([_TIME]) + varint(time & _UNSIGNED)
    return field(_SAMPLES, content)


def _of_row(row: Row) -> bytes:
    times, values = row.times, row.values
    if row.histograms:
        floats = np.ones(len(times), np.bool_)
        floats[list(row.histograms)] = False
        times, values = times[floats], values[floats]
    parts = [_labels(row.labels), samples(times, values)]
    for index, found in sorted(row.histograms.items()):
        parts.append(field(_HISTOGRAMS, bytes(histogram(int(row.times[index]), found))))
    return b"".join(parts)


def _labels(labels: Labels) -> bytes:
    return b"".join(
        field(_LABELS, field(1, utf8(name).encode()) + field(2, utf8(value).encode()))
        for name, value in labels
    )


def samples(times: NDArray[np.int64], values: NDArray[np.float64]) -> bytes:
    """The field `samples` of a TimeSeries, once for each.

    :param times: (points,) int64, milliseconds since the epoch.
    :param values: (points,) float64.
    """
    unsigned = np.ascontiguousarray(times, np.int64).view(np.uint64)
    sizes = np.searchsorted(_BEYOND, unsigned, side="right") + 1
    # Times rise, so those whose varints are equally long follow each other.
    ends = [*(np.flatnonzero(np.diff(sizes)) + 1).tolist(), len(sizes)]
    parts, begin = [], 0
    for end in ends:
        if begin < end:
            parts.append(_equally_long(unsigned[begin:end], values[begin:end], int(sizes[begin])))
        begin = end
    return b"".join(parts)


def _equally_long(times: NDArray[np.uint64], values: NDArray[np.float64], size: int) -> bytes:
    """Samples whose times take `size` bytes each."""
    out = np.empty((len(times), 12 + size), np.uint8)
    out[:, 0] = _SAMPLES << 3 | 2
    out[:, 1] = 10 + size
    out[:, 2] = _VALUE
    out[:, 3:11] = np.ascontiguousarray(values, "<f8").view(np.uint8).reshape(-1, 8)
    out[:, 11] = _TIME
    for position in range(size):
        more = 0x80 if position < size - 1 else 0
        out[:, 12 + position] = (times >> np.uint64(7 * position)) & np.uint64(0x7F) | np.uint64(more)
    return out.tobytes()


def histogram(time: int, found: FloatHistogram) -> Histogram:
    """A histogram of floats.

    :param time: milliseconds since the epoch.
    """
    positive, negative = sorted(found.positive), sorted(found.negative)
    return Histogram(
        count_float=found.count,
        sum=found.sum,
        schema=found.schema,
        zero_threshold=found.zero_threshold,
        zero_count_float=found.zero_count,
        positive_spans=spans(positive),
        positive_counts=_counts(positive, found.positive),
        negative_spans=spans(negative),
        negative_counts=_counts(negative, found.negative),
        reset_hint=_HINTS[found.reset_hint],
        timestamp=time,
        custom_values=list(found.custom_values),
    )


def spans(indices: Iterable[int]) -> list[BucketSpan]:
    """Rising indices of buckets as runs of such that follow each other."""
    found: list[BucketSpan] = []
    behind = 0
    for index in indices:
        if found and index == behind:
            found[-1].length += 1
        else:
            found.append(BucketSpan(offset=index - behind, length=1))
        behind = index + 1
    return found


def _counts(indices: Iterable[int], buckets: Mapping[int, float]) -> list[float]:
    return [buckets[index] for index in indices]
