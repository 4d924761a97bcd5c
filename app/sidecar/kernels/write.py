"""Series written as framed SeriesResponse messages; chunk data is copied, never decoded."""

import numpy as np

from app.kernels.jit import inlined, kernel
from app.kernels.walk import copy, varint_size, write_prefix, write_varint
from app.sidecar.kernels.tables import NO_ROOM

PREFIX = 5
MESSAGE_SIZE = 1 << 20
"""Bytes from which on a batch is not filled up: many clients take messages of 4 MiB at most."""


@inlined
def _write_uint64(out, at, value):
    while value >= np.uint64(0x80):
        out[at] = np.uint8(value & np.uint64(0x7F)) | np.uint8(0x80)
        value >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(value)
    return at + 1


@inlined
def _uint64_size(value):
    size = 1
    while value >= np.uint64(0x80):
        value >>= np.uint64(7)
        size += 1
    return size


@inlined
def _write_range(out, at, tag, data, start, end):
    """A length-delimited field."""
    out[at] = tag
    at = write_varint(out, at + 1, end - start)
    return copy(out, at, data, start, end)


@kernel
def _write_chunk(data, chunk, out, at):
    """An AggrChunk with its tag and length."""
    low, high = np.uint64(chunk[0]), np.uint64(chunk[1])
    digest = np.uint64(chunk[5])
    length = chunk[4] - chunk[3]
    content = 1 + varint_size(length) + length + 1 + _uint64_size(digest)
    if chunk[2] != 0:
        content += 2
    whole = 1 + varint_size(content) + content
    if low != 0:
        whole += 1 + _uint64_size(low)
    if high != 0:
        whole += 1 + _uint64_size(high)
    out[at] = 0x12
    at = write_varint(out, at + 1, whole)
    if low != 0:
        out[at] = 0x08
        at = _write_uint64(out, at + 1, low)
    if high != 0:
        out[at] = 0x10
        at = _write_uint64(out, at + 1, high)
    out[at] = 0x1A
    at = write_varint(out, at + 1, content)
    if chunk[2] != 0:
        out[at] = 0x08
        out[at + 1] = np.uint8(chunk[2])
        at += 2
    at = _write_range(out, at, 0x12, data, chunk[3], chunk[4])
    out[at] = 0x18
    return np.int64(_write_uint64(out, at + 1, digest))


@inlined
def _body_size(series, groups, which):
    """Bytes of the Series message of a group."""
    first = groups[which, 0]
    size = series[first, 8]
    for row in range(first, groups[which, 1]):
        size += series[row, 9]
    return size


@kernel
def _write_series(data, series, labels, chunks, groups, which, out, at):
    """A Series of a batch, or the series of a response: both have tag 1."""
    out[at] = 0x0A
    at = write_varint(out, at + 1, _body_size(series, groups, which))
    first = groups[which, 0]
    for label in range(series[first, 2], series[first, 3]):
        name = labels[label, 1] - labels[label, 0]
        value = labels[label, 3] - labels[label, 2]
        out[at] = 0x0A
        at = write_varint(out, at + 1, 2 + varint_size(name) + name + varint_size(value) + value)
        at = _write_range(out, at, 0x0A, data, labels[label, 0], labels[label, 1])
        at = _write_range(out, at, 0x12, data, labels[label, 2], labels[label, 3])
    for row in range(first, groups[which, 1]):
        for chunk in range(series[row, 4], series[row, 5]):
            at = _write_chunk(data, chunks[chunk], out, at)
    return np.int64(at)


@kernel
def write(data, series, labels, chunks, groups, order, first, last, batch, out):
    """Write the groups ``order[first:last]``.

    :param batch: series to a message; below 2: one, without the batch around it.
    :returns: bytes written, the position in `order` behind what was written, and 0, or NO_ROOM when not even
        one message fits into `out`.
    """
    at = np.int64(0)
    position = first
    while position < last:
        behind, size = position, np.int64(0)
        while (
            behind < last
            and behind - position < max(batch, 1)
            and (behind == position or size < MESSAGE_SIZE)
        ):
            body = _body_size(series, groups, order[behind])
            size += 1 + varint_size(body) + body
            behind += 1
        header = 1 + varint_size(size) if batch >= 2 else 0
        if at + PREFIX + header + size > out.size:
            break
        write_prefix(out, at, header + size)
        at += PREFIX
        if batch >= 2:
            out[at] = 0x22
            at = write_varint(out, at + 1, size)
        for which in range(position, behind):
            at = _write_series(data, series, labels, chunks, groups, order[which], out, at)
        position = behind
    return at, position, np.int64(NO_ROOM if position == first and first < last else 0)
