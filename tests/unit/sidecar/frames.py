"""Remote-read answers as Prometheus frames them, written by hand, and StoreAPI answers read back."""

from collections.abc import Iterable, Mapping, Sequence

import google_crc32c
import msgspec

from app.fanout.wire import field, varint
from app.pb.thanos import AggrChunk, Series, SeriesResponse

XOR, HISTOGRAM, FLOAT_HISTOGRAM = 1, 2, 3
"""Encodings as Prometheus numbers them."""


class Chunk(msgspec.Struct, frozen=True, order=True):
    """Times in milliseconds; `encoding` as Prometheus numbers it."""

    low: int
    high: int
    data: bytes
    encoding: int = XOR


Labels = Mapping[str, str]
Item = tuple[Labels, Sequence[Chunk]]


def _number(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value & 2**64 - 1) if value else b""


def chunked_series(labels: Labels, chunks: Iterable[Chunk]) -> bytes:
    """A ChunkedSeries message; labels in the order of their names."""
    parts = [
        field(1, field(1, name.encode()) + field(2, value.encode()))
        for name, value in sorted(labels.items(), key=lambda each: each[0].encode())
    ]
    for each in chunks:
        body = _number(1, each.low) + _number(2, each.high) + _number(3, each.encoding) + field(4, each.data)
        parts.append(field(2, body))
    return b"".join(parts)


def framed(message: bytes) -> bytes:
    """A message with its length and checksum in front."""
    checksum: int = google_crc32c.value(message)
    return varint(len(message)) + checksum.to_bytes(4, "big") + message


def frame(labels: Labels, chunks: Iterable[Chunk]) -> bytes:
    """One series in a frame, as Prometheus sends it."""
    return framed(field(1, chunked_series(labels, chunks)))


def order_of(labels: Labels) -> list[tuple[bytes, bytes]]:
    """What label sets are compared by."""
    return sorted((name.encode(), value.encode()) for name, value in labels.items())


def messages(content: bytes) -> list[SeriesResponse]:
    """Framed gRPC messages read back."""
    found, at = [], 0
    while at < len(content):
        assert content[at] == 0
        end = at + 5 + int.from_bytes(content[at + 1 : at + 5], "big")
        found.append(SeriesResponse.parse(content[at + 5 : end]))
        at = end
    assert at == len(content)
    return found


def series_of(responses: Iterable[SeriesResponse]) -> list[Series]:
    """All series, batched or not."""
    found: list[Series] = []
    for each in responses:
        if each.batch is not None:
            found.extend(each.batch.series)
        elif each.series is not None:
            found.append(each.series)
    return found


def items(series: Iterable[Series]) -> list[Item]:
    """Series back as they went in."""
    return [
        ({label.name: label.value for label in each.labels}, [_chunk(chunk) for chunk in each.chunks])
        for each in series
    ]


def _chunk(chunk: AggrChunk) -> Chunk:
    assert chunk.raw is not None
    return Chunk(chunk.min_time, chunk.max_time, chunk.raw.data, int(chunk.raw.type) + 1)
