"""XOR chunks decoded.

Source of the format: Prometheus, tsdb/chunkenc/xor.go: a big-endian sample count, then bits. Times are
written as the change of their distance, values as the XOR with the one before.

Every token is taken out of one 64-bit load. A load may reach past a payload, never by more than `PADDING`
bytes, and what it finds there counts only as far as the payload goes.
"""

import numpy as np

from app.engine.kernels.tables import MALFORMED, NO_ROOM
from app.kernels.bits import load_be64
from app.kernels.jit import kernel
from app.kernels.walk import varint

PADDING = 16
"""Bytes behind the last payload of an array."""
_HEADER = 2
_VALID = 43
"""Bits of a word that are left when it was loaded at any bit, and 14 of them were used."""
_TWO_BITS, _THREE_BITS, _FOUR_BITS = np.uint64(1 << 63), np.uint64(3 << 62), np.uint64(7 << 61)
_ALL_FOUR = np.uint64(15 << 60)


@kernel
def take(data, bit, width):
    """`width` bits, 1 to 64, at position `bit`, as uint64."""
    byte = bit >> 3
    shift = np.uint64(bit & 7)
    word = load_be64(data, byte) << shift
    if shift + np.uint64(width) > np.uint64(64):
        word |= np.uint64(data[byte + 8]) >> (np.uint64(8) - shift)
    return word >> np.uint64(64 - width)


@kernel
def _change(data, word, bit):
    """The change of the distance between two times, not 0, and the position in bits behind it.

    Prometheus counts half of each range as positive.

    :param word: what is at `bit`.
    """
    if word < _THREE_BITS:
        change = np.int64((word << np.uint64(2)) >> np.uint64(50))
        return change - (1 << 14) if change > 1 << 13 else change, bit + 16
    if word < _FOUR_BITS:
        change = np.int64((word << np.uint64(3)) >> np.uint64(47))
        return change - (1 << 17) if change > 1 << 16 else change, bit + 20
    if word < _ALL_FOUR:
        change = np.int64((word << np.uint64(4)) >> np.uint64(44))
        return change - (1 << 20) if change > 1 << 19 else change, bit + 24
    return np.int64(take(data, bit + 4, 64)), bit + 68


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
    # One loop and not several functions: what they would hand each other doubles the time that it takes.
    count = sample_count(data, at, length)
    if count < 0:
        return np.int64(MALFORMED), last
    if count > times.size - out:
        return np.int64(NO_ROOM), last
    if count == 0:
        return np.int64(out), last
    limit = (at + length) << 3
    raw, byte = varint(data, at + _HEADER, at + length)
    if byte < 0 or byte + 8 > at + length:
        return np.int64(MALFORMED), last
    time = np.int64(np.uint64(raw) >> np.uint64(1)) ^ -(raw & np.int64(1))
    value = load_be64(data, byte)
    byte += 8
    distance, bit = np.int64(0), byte << 3
    trailing, width = np.uint64(0), np.int64(64)
    number = 0
    while True:
        if time > last or (repeated and time == last):
            if time > end:
                return np.int64(out), end
            times[out], bits[out] = time, value
            out += 1
            last = time
        number += 1
        if number >= count:
            return np.int64(out), last
        if number == 1:
            distance, byte = varint(data, byte, at + length)
            if byte < 0:
                return np.int64(MALFORMED), last
            bit = byte << 3
            word = load_be64(data, byte)
        else:
            word = load_be64(data, bit >> 3) << np.uint64(bit & 7)
            if word < _TWO_BITS:  # as far from the last as that was from the one before: most of all samples
                bit += 1
                word <<= np.uint64(1)
            else:
                change, bit = _change(data, word, bit)
                distance += change
                if bit >= limit:
                    return np.int64(MALFORMED), last
                word = load_be64(data, bit >> 3) << np.uint64(bit & 7)
        time += distance
        if word < _TWO_BITS:
            bit += 1
        else:
            bit += 2
            if word < _THREE_BITS:
                word <<= np.uint64(2)
            else:
                width = np.int64((word << np.uint64(7)) >> np.uint64(58))
                if width == 0:
                    width = np.int64(64)
                behind = 64 - width - np.int64((word << np.uint64(2)) >> np.uint64(59))
                if behind < 0:
                    return np.int64(MALFORMED), last
                trailing = np.uint64(behind)
                bit += 11
                word <<= np.uint64(13)
            if width > _VALID:
                word = take(data, bit, width) << np.uint64(64 - width)
            value ^= word >> np.uint64(64 - width) << trailing
            bit += width
        if bit > limit:
            return np.int64(MALFORMED), last
