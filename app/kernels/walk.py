"""Steps over protobuf's wire format. A negative position is the answer to anything that does not fit."""

import numpy as np

from app.kernels.bits import copy_bytes
from app.kernels.jit import inlined


@inlined
def varint(data, at, end):
    """Value and the position behind it, which is negative when the varint is cut short or too long."""
    if at < end and data[at] < 0x80:  # most are of one byte
        return np.int64(data[at]), np.int64(at + 1)
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= np.uint64(byte & 0x7F) << shift
        if byte < 0x80:
            return np.int64(value), at
        shift += np.uint64(7)
    return np.int64(0), np.int64(-1)


@inlined
def tag(data, at, end):
    """Tag of a field and the position behind it; there is no field 0, and a tag has 32 bits."""
    value, at = varint(data, at, end)
    if value < 8 or value > 0xFFFFFFFF:
        return np.int64(0), np.int64(-1)
    return value, at


@inlined
def span(data, at, end):
    """Start and end of a length-delimited value at `at`; the start is negative when it does not fit."""
    length, at = varint(data, at, end)
    if at < 0 or length < 0 or length > end - at:
        return np.int64(-1), np.int64(-1)
    return at, at + length


@inlined
def skip(data, at, end, wire_type):
    """The position behind a value of an unknown field; negative when malformed."""
    if wire_type == 0:
        _, at = varint(data, at, end)
        return at
    if wire_type == 2:
        _, behind = span(data, at, end)
        return behind
    size = 8 if wire_type == 1 else 4 if wire_type == 5 else -1
    if size < 0 or at + size > end:
        return np.int64(-1)
    return at + size


@inlined
def varint_size(value):
    """Bytes that `value`, not negative, takes up."""
    size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


@inlined
def write_varint(out, at, value):
    """Write `value`, not negative; the position behind it. There must be room."""
    while value >= 0x80:
        out[at] = np.uint8((value & 0x7F) | 0x80)
        value >>= 7
        at += 1
    out[at] = np.uint8(value)
    return at + 1


@inlined
def write_prefix(out, at, length):
    """Write gRPC's prefix of an uncompressed message."""
    out[at] = 0
    out[at + 1] = (length >> 24) & 0xFF
    out[at + 2] = (length >> 16) & 0xFF
    out[at + 3] = (length >> 8) & 0xFF
    out[at + 4] = length & 0xFF


@inlined
def copy(out, at, data, start, end):
    """Copy a range; the position behind it. There must be room, and `out` is another array."""
    if end > start:
        copy_bytes(out, at, data, start, end - start)
    return at + end - start
