"""XOR chunks to samples."""

import numpy as np

from app.engine.kernels.words import big_endian
from app.kernels.jit import kernel

_ONE = np.uint64(1)


@kernel
def sample_count(data, offset):
    """How many samples the head of a chunk announces."""
    return (np.int64(data[offset]) << 8) | np.int64(data[offset + 1])


@kernel
def _uvarint(data, at):
    value = np.uint64(0)
    shift = np.uint64(0)
    while shift < 70:
        byte = data[at]
        at += 1
        value |= np.uint64(byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += np.uint64(7)
    return value, at


@kernel
def _bits_at(data, bit, width):
    """`width` bits, 1 to 64, from position `bit`."""
    shift = np.uint64(bit & 7)
    word = big_endian(data, bit >> 3) << shift
    if shift:
        word |= np.uint64(data[(bit >> 3) + 8]) >> (np.uint64(8) - shift)
    return word >> (np.uint64(64) - np.uint64(width))


@kernel
def decode_chunk(data, offset, length, times, bits, at):
    """Append the samples of one chunk at `at`; the position behind them.

    `bits` are those of the values. A chunk that is shorter than it says ends early: at least 16 bytes must
    follow it in `data`.
    """
    count = sample_count(data, offset)
    end = (offset + length) << 3
    if count == 0 or length < 11:
        return at
    raw, place = _uvarint(data, offset + 2)
    time = np.int64(raw >> _ONE) ^ -np.int64(raw & _ONE)
    value = big_endian(data, place)
    times[at] = time
    bits[at] = value
    at += 1
    bit = (place + 8) << 3
    if count == 1 or bit >= end:
        return at
    raw, place = _uvarint(data, place + 8)
    distance = np.int64(raw)
    bit = place << 3
    trailing = np.uint64(0)
    width = np.uint64(0)
    last = at + count - 1
    first = True
    while at < last and bit < end:
        if not first:
            word = big_endian(data, bit >> 3) << np.uint64(bit & 7)
            if word < np.uint64(0x8000000000000000):
                bit += 1
            elif word < np.uint64(0xC000000000000000):
                change = np.int64((word << np.uint64(2)) >> np.uint64(50))
                distance += change - 16384 if change > 8192 else change
                bit += 16
            elif word < np.uint64(0xE000000000000000):
                change = np.int64((word << np.uint64(3)) >> np.uint64(47))
                distance += change - 131072 if change > 65536 else change
                bit += 20
            elif word < np.uint64(0xF000000000000000):
                change = np.int64((word << np.uint64(4)) >> np.uint64(44))
                distance += change - 1048576 if change > 524288 else change
                bit += 24
            else:
                distance += np.int64(_bits_at(data, bit + 4, 64))
                bit += 68
            if bit >= end:
                return at
        first = False
        time += distance
        word = big_endian(data, bit >> 3) << np.uint64(bit & 7)
        if word < np.uint64(0x8000000000000000):
            bit += 1
        else:
            if word < np.uint64(0xC000000000000000):
                bit += 2
            else:
                leading = (word << np.uint64(2)) >> np.uint64(59)
                width = (word << np.uint64(7)) >> np.uint64(58)
                if width == 0:
                    width = np.uint64(64)
                trailing = np.uint64(64) - leading - width
                bit += 13
            if width == 0 or bit >= end:
                return at
            value ^= _bits_at(data, bit, width) << trailing
            bit += np.int64(width)
        times[at] = time
        bits[at] = value
        at += 1
    return at
