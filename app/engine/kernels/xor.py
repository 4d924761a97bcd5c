"""XOR chunks decoded.

Source of the format: Prometheus, tsdb/chunkenc/xor.go: a big-endian sample count, then bits. Times are
written as the change of their distance, values as the XOR with the one before.

Every token is taken out of one 64-bit load. A load may reach past a payload, never by more than `PADDING`
bytes, and what it finds there counts only as far as the payload goes.
"""

import numpy as np

from app.engine.kernels.bits import load_be64
from app.engine.kernels.tables import MALFORMED, NO_ROOM
from app.kernels.jit import inlined, kernel
from app.kernels.walk import varint

PADDING = 16
"""Bytes behind the last payload of an array."""
_HEADER = 2
_TWO_BITS, _THREE_BITS, _FOUR_BITS = np.uint64(1 << 63), np.uint64(3 << 62), np.uint64(7 << 61)
_ALL_FOUR = np.uint64(15 << 60)


@inlined
def _take(data, bit, width):
    """`width` bits, 1 to 64, at position `bit`, as uint64."""
    byte = bit >> 3
    shift = np.uint64(bit & 7)
    word = load_be64(data, byte) << shift
    if shift + np.uint64(width) > np.uint64(64):
        word |= np.uint64(data[byte + 8]) >> (np.uint64(8) - shift)
    return word >> np.uint64(64 - width)


@inlined
def _signed(value, width):
    """The number that `width` bits stand for: Prometheus counts half of the range as positive."""
    number = np.int64(value)
    return number - (np.int64(1) << width) if number > (np.int64(1) << (width - 1)) else number


@inlined
def _change(data, bit):
    """The change of the distance between two times, and the position in bits behind it."""
    word = load_be64(data, bit >> 3) << np.uint64(bit & 7)
    if word < _TWO_BITS:
        return np.int64(0), bit + 1
    if word < _THREE_BITS:
        return _signed((word << np.uint64(2)) >> np.uint64(50), 14), bit + 16
    if word < _FOUR_BITS:
        return _signed((word << np.uint64(3)) >> np.uint64(47), 17), bit + 20
    if word < _ALL_FOUR:
        return _signed((word << np.uint64(4)) >> np.uint64(44), 20), bit + 24
    return np.int64(_take(data, bit + 4, 64)), bit + 68


@kernel
def sample_count(data, at, length):
    """How many samples a payload claims to hold; MALFORMED where it cannot hold so many."""
    if length < _HEADER:
        return np.int64(MALFORMED)
    count = (np.int64(data[at]) << 8) | np.int64(data[at + 1])
    # The first takes at least nine bytes, the second a byte and a bit, any other two bits.
    if count > 0 and (length < 11 or count > 4 * length):
        return np.int64(MALFORMED)
    return count


@kernel
def decode_chunk(data, at, length, last, end, repeated, times, bits, out):
    """Write the samples later than `last` and not later than `end`, in rising order of time.

    :param data: uint8, with `PADDING` bytes behind ``data[at : at + length]``.
    :param repeated: whether samples at `last` are written too: downsampled counters end with one.
    :param times: int64, milliseconds since the epoch, filled from `out` on.
    :param bits: uint64, of the values, likewise.
    :returns: the position behind the last sample, or a negative code; and the last time, `end` where the
        chunk goes on beyond it.
    """
    count = sample_count(data, at, length)
    if count < 0:
        return np.int64(MALFORMED), last
    if count > times.size - out:
        return np.int64(NO_ROOM), last
    if count == 0:
        return np.int64(out), last
    behind = at + length
    raw, byte = varint(data, at + _HEADER, behind)
    if byte < 0 or byte + 8 > behind:
        return np.int64(MALFORMED), last
    time = np.int64(np.uint64(raw) >> np.uint64(1)) ^ -(raw & np.int64(1))
    value = load_be64(data, byte)
    byte += 8
    distance = np.int64(0)
    bit, limit = byte << 3, behind << 3
    trailing, width = np.int64(0), np.int64(64)
    for number in range(count):
        if number > 0:
            if number == 1:
                distance, byte = varint(data, byte, behind)
                if byte < 0:
                    return np.int64(MALFORMED), last
                bit = byte << 3
            else:
                change, bit = _change(data, bit)
                distance += change
            if bit >= limit:
                return np.int64(MALFORMED), last
            time += distance
            word = load_be64(data, bit >> 3) << np.uint64(bit & 7)
            if word < _TWO_BITS:
                bit += 1
            else:
                bit += 2
                if word >= _THREE_BITS:
                    width = np.int64((word << np.uint64(7)) >> np.uint64(58))
                    if width == 0:
                        width = np.int64(64)
                    trailing = 64 - width - np.int64((word << np.uint64(2)) >> np.uint64(59))
                    if trailing < 0:
                        return np.int64(MALFORMED), last
                    bit += 11
                value ^= _take(data, bit, width) << np.uint64(trailing)
                bit += width
            if bit > limit:
                return np.int64(MALFORMED), last
        if time > last or (repeated and time == last):
            if time > end:
                return np.int64(out), end
            times[out] = time
            bits[out] = value
            out += 1
            last = time
    return np.int64(out), last
