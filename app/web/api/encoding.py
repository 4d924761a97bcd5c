"""Results of queries as JSON, in the number format of Prometheus, block by block.

The format is that of Go's `strconv`: the fewest digits that mean the float, without an exponent but for very
large and very small ones. Python's `repr` finds the same digits.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.histogram.buckets import to_json
from app.engine.histogram.model import FloatHistogram
from app.engine.model import Labels, Matrix, Row, Sample, Scalar, String, Value, Vector
from app.engine.promql.quoting import utf8
from app.engine.request import Columnar

BLOCK = 128 * 1024
"""Bytes that are written together; a block may be larger by one piece."""
_KINDS = {Scalar: "scalar", String: "string", Vector: "vector", Matrix: "matrix"}
POINTS = 2048
"""Points of a series to a piece."""


def number(value: float) -> str:
    """A sample's value: with an exponent below 1e-6 and from 1e21 on."""
    if value and (abs(value) < 1e-6 or 1e21 <= abs(value) < math.inf):
        return repr(value)
    return plain_number(value)


def plain_number(value: float) -> str:
    """A float without exponent, however long that gets."""
    if value != value:
        return "NaN"
    if value in (math.inf, -math.inf):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" not in text:
        return text.removesuffix(".0")
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits.ljust(point, '0')}"  # from 1e16 on there is no fraction


def timestamp(time: int) -> str:
    """Seconds, with three digits of a fraction or none.

    :param time: milliseconds since the epoch.
    """
    seconds, fraction = divmod(abs(time), 1000)
    sign = "-" if time < 0 else ""
    return f"{sign}{seconds}.{fraction:03}" if fraction else f"{sign}{seconds}"


def float_points(times: NDArray[np.int64], values: NDArray[np.float64]) -> bytes:
    """``[1435781451.781,"1"],[1435781452,"2"]``: points of one series, of which there is one at least.

    :param times: (points,) int64, milliseconds since the epoch.
    :param values: (points,) float64.
    """
    points = zip(times.tolist(), values.tolist(), strict=True)
    return ",".join([f'[{timestamp(time)},"{number(value)}"]' for time, value in points]).encode()


def encoded(found: object) -> bytes:
    """Anything that msgspec encodes, with U+FFFD for what escapes in a query have made that is not UTF-8."""
    try:
        return msgspec.json.encode(found)
    except UnicodeEncodeError:
        return msgspec.json.encode(_readable(msgspec.to_builtins(found)))


def _readable(found: Any) -> Any:
    match found:
        case str():
            return utf8(found)
        case dict():
            return {utf8(str(name)): _readable(value) for name, value in found.items()}
        case list() | tuple():
            return [_readable(each) for each in found]
        case _:
            return found


def labels_json(labels: Labels) -> bytes:
    """An object of names and values."""
    return encoded(dict(labels))


def histogram_json(histogram: FloatHistogram) -> bytes:
    """Count, sum and the buckets that are not empty."""
    return msgspec.json.encode(to_json(histogram))


def blocks(pieces: Iterable[bytes], size: int = BLOCK) -> Iterator[bytes]:
    """The same bytes in blocks of `size` bytes and little more; the last one may be smaller."""
    held, length = list[bytes](), 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(held)
            held, length = [], 0
    if held:
        yield b"".join(held)


def query_data(
    value: Value | Columnar, stats: Mapping[str, object] | None, analysis: Mapping[str, object] | None = None
) -> Iterator[bytes]:
    """The `data` of a query's answer, in pieces. `analysis` is Thanos's, which always has it."""
    if isinstance(value, Columnar):
        kind, written = value.kind, value.json()
    else:
        kind, written = _KINDS[type(value)], result(value)
    yield f'{{"resultType":"{kind}","result":'.encode()
    yield from written
    if stats is not None:
        yield b',"stats":' + msgspec.json.encode(stats)
    yield b',"analysis":' + msgspec.json.encode(analysis or {}) + b"}"


def result(value: Value) -> Iterator[bytes]:
    """A value, in pieces."""
    match value:
        case Scalar():
            yield f'[{_trimmed(value.time)},"{plain_number(value.value)}"]'.encode()
        case String():
            yield f"[{_trimmed(value.time)},".encode() + encoded(value.value) + b"]"
        case Vector():
            yield from listed(_sample(each) for each in value.samples)
        case Matrix():
            yield b"["
            for position, row in enumerate(value.rows):
                yield b"," if position else b""
                yield from _row(row)
            yield b"]"


def _trimmed(time: int) -> str:
    """A time as Prometheus writes it beside scalars and strings: without zeros at the end of the fraction."""
    text = timestamp(time)
    return text.rstrip("0") if "." in text else text


def listed(items: Iterable[bytes]) -> Iterator[bytes]:
    """A list, a piece for each item."""
    yield b"["
    for position, item in enumerate(items):
        yield b"," + item if position else item
    yield b"]"


def _sample(sample: Sample) -> bytes:
    metric, time = labels_json(sample.labels), timestamp(sample.time).encode()
    if isinstance(sample.value, FloatHistogram):
        return b'{"metric":%b,"histogram":[%b,%b]}' % (metric, time, histogram_json(sample.value))
    return b'{"metric":%b,"value":[%b,"%b"]}' % (metric, time, number(sample.value).encode())


def _row(row: Row) -> Iterator[bytes]:
    yield b'{"metric":' + labels_json(row.labels)
    times, values = row.times, row.values
    if row.histograms:
        floats = np.ones(len(times), np.bool_)
        floats[list(row.histograms)] = False
        times, values = times[floats], values[floats]
    for at in range(0, len(times), POINTS):
        yield b"," if at else b',"values":['
        yield float_points(times[at : at + POINTS], values[at : at + POINTS])
    yield b"]" if len(times) else b""
    for position, (index, histogram) in enumerate(sorted(row.histograms.items())):
        time = timestamp(int(row.times[index])).encode()
        yield b"," if position else b',"histograms":['
        yield b"[%b,%b]" % (time, histogram_json(histogram))
    yield b"]}" if row.histograms else b"}"


def truncated(value: Value, limit: int) -> tuple[Value, bool]:
    """At most `limit` elements, and whether there were more; 0: all."""
    if limit > 0:
        match value:
            case Vector() if len(value.samples) > limit:
                return Vector(value.samples[:limit]), True
            case Matrix() if len(value.rows) > limit:
                return Matrix(value.rows[:limit]), True
    return value, False
