"""Samples encoded as XOR chunks, for a Prometheus that is too old to stream its own.

Source of the format: Prometheus, tsdb/chunkenc/xor.go: a big-endian sample count, then bits. Times are
written as the change of their distance, values as the XOR with the one before.
"""

import numpy as np

from app.kernels.jit import inlined, kernel
from app.kernels.walk import copy, skip, span, tag, varint, varint_size, write_varint
from app.sidecar.kernels.tables import MALFORMED

CHUNK_SAMPLES = 120
"""In one chunk, as Prometheus cuts them."""
SAMPLE_BYTES = 20
"""That one sample takes up at most."""
CHUNK_BYTES = 64
"""That a chunk takes up beside its samples at most."""


@inlined
def _put(out, at, bit, value, width):
    """Write the low `width` bits of `value`; the position in bits behind them. `out` is zero there."""
    while width > 0:
        room = 8 - (bit & 7)
        take = min(room, width)
        part = (value >> np.uint64(width - take)) & ((np.uint64(1) << np.uint64(take)) - np.uint64(1))
        out[at + (bit >> 3)] |= np.uint8(part << np.uint64(room - take))
        bit += take
        width -= take
    return bit


@inlined
def _put_uvarint(out, at, bit, value):
    while value > np.uint64(0x7F):
        bit = _put(out, at, bit, (value & np.uint64(0x7F)) | np.uint64(0x80), 8)
        value >>= np.uint64(7)
    return _put(out, at, bit, value, 8)


@inlined
def _put_change(out, at, bit, change):
    """The change of the distance between two times, in the shortest of five forms."""
    if change == 0:
        return _put(out, at, bit, np.uint64(0), 1)
    if -8191 <= change <= 8192:
        prefix, prefix_width, width = 0b10, 2, 14
    elif -65535 <= change <= 65536:
        prefix, prefix_width, width = 0b110, 3, 17
    elif -524287 <= change <= 524288:
        prefix, prefix_width, width = 0b1110, 4, 20
    else:
        prefix, prefix_width, width = 0b1111, 4, 64
    bit = _put(out, at, bit, np.uint64(prefix), prefix_width)
    return _put(out, at, bit, np.uint64(change), width)


@inlined
def _zeros(value):
    """Leading and trailing zero bits of `value`, which is not 0."""
    leading = 0
    while not value & (np.uint64(1) << np.uint64(63 - leading)):
        leading += 1
    trailing = 0
    while not value & (np.uint64(1) << np.uint64(trailing)):
        trailing += 1
    return leading, trailing


@kernel
def members(data, at, end, table):
    """Starts and ends of the values of field 1 in ``data[at:end]``.

    :returns: how many, or MALFORMED; where there are more than the table has rows, those are only counted.
    """
    count = 0
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED)
        if field == 0x0A:
            start, at = span(data, at, end)
            if start < 0:
                return np.int64(MALFORMED)
            if count < table.shape[0]:
                table[count, 0], table[count, 1] = start, at
            count += 1
        else:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return np.int64(MALFORMED)
    return np.int64(count)


@kernel
def encode(times, values, first, last, out, at):
    """Write the samples ``[first, last)`` as one chunk.

    :param times: int64, milliseconds since the epoch.
    :param values: uint64, the bits of the floats.
    :param out: uint8, with room.
    :returns: the position behind the chunk.
    """
    count = last - first
    out[at : at + 2 + count * SAMPLE_BYTES + CHUNK_BYTES] = 0
    out[at], out[at + 1] = count >> 8, count & 0xFF
    bit = 16
    leading, trailing = -1, 0
    distance = np.int64(0)
    for position in range(first, last):
        time, value = times[position], values[position]
        if position == first:
            bit = _put_uvarint(out, at, bit, np.uint64((time << 1) ^ (time >> 63)))
            bit = _put(out, at, bit, value, 64)
            continue
        step = time - times[position - 1]
        if position == first + 1:
            bit = _put_uvarint(out, at, bit, np.uint64(step))
        else:
            bit = _put_change(out, at, bit, step - distance)
        distance = step
        difference = value ^ values[position - 1]
        if difference == 0:
            bit = _put(out, at, bit, np.uint64(0), 1)
            continue
        new_leading, new_trailing = _zeros(difference)
        new_leading = min(new_leading, 31)
        if leading >= 0 and new_leading >= leading and new_trailing >= trailing:
            bit = _put(out, at, bit, np.uint64(0b10), 2)
        else:
            leading, trailing = new_leading, new_trailing
            bit = _put(out, at, bit, np.uint64(0b11), 2)
            bit = _put(out, at, bit, np.uint64(leading), 5)
            bit = _put(out, at, bit, np.uint64((64 - leading - trailing) & 63), 6)
        bit = _put(out, at, bit, difference >> np.uint64(trailing), 64 - leading - trailing)
    return np.int64(at + ((bit + 7) >> 3))


@kernel
def samples(data, at, end, times, values):
    """Read the samples of a TimeSeries{1 labels, 2 samples{1 value, 2 timestamp}, 4 histograms}.

    :returns: how many, how many bytes its labels take up with their tags, how many histograms there are; the
        first is MALFORMED where it is no TimeSeries. The arrays may be too short: then only counted.
    """
    count = label_bytes = histograms = 0
    while at < end:
        entry = at
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED), np.int64(0), np.int64(0)
        if field != 0x0A and field != 0x12 and field != 0x22:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return np.int64(MALFORMED), np.int64(0), np.int64(0)
            continue
        start, behind = span(data, at, end)
        if start < 0:
            return np.int64(MALFORMED), np.int64(0), np.int64(0)
        if field == 0x0A:
            label_bytes += behind - entry
        elif field == 0x22:
            histograms += 1
        else:
            time, bits = np.int64(0), np.uint64(0)
            while start < behind:
                inner, start = tag(data, start, behind)
                if inner == 0x09 and start >= 0 and start + 8 <= behind:
                    for offset in range(8):
                        bits |= np.uint64(data[start + offset]) << np.uint64(8 * offset)
                    start += 8
                elif inner == 0x10:
                    time, start = varint(data, start, behind)
                elif start >= 0:
                    start = skip(data, start, behind, inner & 7)
                if start < 0:
                    return np.int64(MALFORMED), np.int64(0), np.int64(0)
            if count < times.size:
                times[count], values[count] = time, bits
            count += 1
        at = behind
    return np.int64(count), np.int64(label_bytes), np.int64(histograms)


@kernel
def chunked(data, at, end, times, values, count, out):
    """Write a TimeSeries as a ChunkedSeries: its labels as they are, its samples in chunks.

    :returns: bytes written.
    """
    written = np.int64(0)
    while at < end:
        entry = at
        field, at = tag(data, at, end)
        at = skip(data, at, end, field & 7)
        if field == 0x0A:
            written = copy(out, written, data, entry, at)
    scratch = np.empty(CHUNK_SAMPLES * SAMPLE_BYTES + 2 * CHUNK_BYTES, np.uint8)
    for first in range(0, count, CHUNK_SAMPLES):
        last = min(first + CHUNK_SAMPLES, count)
        length = encode(times, values, first, last, scratch, 0)
        # min_time, max_time, type XOR, data.
        body = 3 + 20 + varint_size(length) + length + 2
        out[written] = 0x12
        # Times are written in ten bytes each, whatever their size: the sum is known in advance so.
        written = write_varint(out, written + 1, body)
        for which in range(2):
            moment = np.uint64(times[first if which == 0 else last - 1])
            out[written] = 0x08 if which == 0 else 0x10
            for offset in range(9):
                out[written + 1 + offset] = np.uint8(moment & np.uint64(0x7F)) | np.uint8(0x80)
                moment >>= np.uint64(7)
            out[written + 10] = np.uint8(moment)
            written += 11
        out[written] = 0x18
        out[written + 1] = 1
        out[written + 2] = 0x22
        written = write_varint(out, written + 3, length)
        written = copy(out, written, scratch, 0, length)
    return np.int64(written)
