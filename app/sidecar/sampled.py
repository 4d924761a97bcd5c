"""The answer of a Prometheus before 2.13: all samples in one message, turned into frames of chunks."""

from collections.abc import AsyncIterator, Iterator

import anyio.to_thread
import cramjam
import google_crc32c
import numpy as np
import numpy.typing as npt

from app.errors import CallError, Code, FailureKind
from app.fanout.wire import field, varint
from app.sidecar import kernels
from app.sidecar.kernels.sampled import CHUNK_BYTES, CHUNK_SAMPLES, SAMPLE_BYTES

PART = 1024 * 1024
"""Bytes of frames that are handed on at once."""

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


SMALL = 16 * 1024
"""Bytes of a compressed answer up to which a thread costs more than it saves."""


async def frames_of_samples(parts: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """The samples of a ReadResponse as frames of a streamed answer.

    :param parts: the answer, compressed as one block of snappy.
    :param limit: bytes that it may have, compressed or not.
    :raises CallError: it is larger, or malformed.
    """
    whole = bytearray()
    async for part in parts:
        whole += part
        if len(whole) > limit:
            raise _too_large(limit)
    made = sampled_frames(bytes(whole), limit)
    if len(whole) < SMALL:
        for part in made:
            yield part
        return
    del whole
    while part := await anyio.to_thread.run_sync(next, made, b""):
        yield part


def _decompressed(whole: bytes, limit: int) -> Bytes:
    try:
        size = cramjam.snappy.decompress_raw_len(whole)
        if size > limit:
            raise _too_large(limit)
        return np.frombuffer(bytes(cramjam.snappy.decompress_raw(whole)), np.uint8)
    except cramjam.DecompressionError as error:
        raise _broken(f"it is not compressed with snappy: {error}") from None


def sampled_frames(whole: bytes, limit: int) -> Iterator[bytes]:
    """The same for an answer that is there; slow."""
    data = _decompressed(whole, limit)
    part = bytearray()
    results = _members(data, 0, data.size)
    if len(results) != 1:
        raise _broken(f"{len(results)} results for one query")
    start, end = (int(bound) for bound in results[0])
    times, values = np.empty(4096, np.int64), np.empty(4096, np.uint64)
    for series in _members(data, start, end):
        first, last = int(series[0]), int(series[1])
        count, label_bytes, histograms = kernels.samples(data, first, last, times, values)
        if count > times.size:
            times, values = np.empty(2 * count, np.int64), np.empty(2 * count, np.uint64)
            kernels.samples(data, first, last, times, values)
        if count == kernels.MALFORMED:
            raise _broken("a time series is malformed")
        if histograms:
            raise CallError(
                Code.UNIMPLEMENTED,
                "Prometheus sent native histograms as samples; only streamed chunks of them can be passed on",
            )
        if count == 0:
            continue
        if np.any(np.diff(times[:count]) <= 0):
            raise _broken("samples of a series are not in the order of their times")
        chunks = -(-int(count) // CHUNK_SAMPLES)
        out = np.empty(int(label_bytes) + int(count) * SAMPLE_BYTES + chunks * CHUNK_BYTES * 2, np.uint8)
        size = kernels.chunked(data, first, last, times, values, count, out)
        message = field(1, out[: int(size)].tobytes())
        part += varint(len(message)) + google_crc32c.value(message).to_bytes(4, "big") + message
        if len(part) >= PART:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)


def _members(data: Bytes, start: int, end: int) -> Offsets:
    """Starts and ends of the messages in field 1."""
    table: Offsets = np.empty((1024, 2), np.int64)
    while (count := int(kernels.members(data, start, end, table))) > len(table):
        table = np.empty((count, 2), np.int64)
    if count == kernels.MALFORMED:
        raise _broken("it is not a ReadResponse")
    return table[:count]


def _too_large(limit: int) -> CallError:
    return CallError(
        Code.RESOURCE_EXHAUSTED,
        f"Prometheus answered with samples, which take up more than {limit} bytes"
        " (raise --sidecar.resort-buffer, or upgrade Prometheus to 2.13 or later)",
    )


def _broken(what: str) -> CallError:
    return CallError(Code.INTERNAL, f"the remote read of Prometheus is broken: {what}", FailureKind.PROTOCOL)
