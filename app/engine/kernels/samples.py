"""The samples of one series, out of the chunks of all its replicas."""

import numpy as np

from app.engine.kernels.decoding import decode_chunk, sample_count
from app.engine.kernels.merging import merge_by_penalty, merge_by_time
from app.kernels.jit import kernel

STALE = np.uint64(0x7FF0000000000002)


@kernel
def series_size(data, lanes, chunks, offset, series):
    """The most samples that a series can have, replicas counted each."""
    size = 0
    for chunk in range(chunks[lanes[series]], chunks[lanes[series + 1]]):
        size += sample_count(data, offset[chunk])
    return size


@kernel
def _load_lane(data, chunks, offset, length, lane, start, end, times, bits):
    """The samples of a lane within `[start, end]`: where they begin in the scratch, and where they end."""
    stop = 0
    for chunk in range(chunks[lane], chunks[lane + 1]):
        stop = decode_chunk(data, offset[chunk], length[chunk], times, bits, stop)
    begin = 0
    while begin < stop and times[begin] < start:
        begin += 1
    while stop > begin and times[stop - 1] > end:
        stop -= 1
    return begin, stop


@kernel
def load_series(data, lanes, chunks, offset, length, rules, series, times, bits):
    """Decode, cut and merge.

    :param rules: (4,) int64: start and end in milliseconds, whether the values are a counter's, whether
        replicas are merged by time alone.
    :param times: (3, capacity) int64 scratch; `bits` likewise of uint64. `series_size` says what is needed.
    :return: the row of the scratch that holds the samples, where they begin and where they end.
    """
    start, end, counter, chain = rules[0], rules[1], rules[2] != 0, rules[3] != 0
    row, begin, stop = 0, 0, 0
    first = lanes[series]
    for lane in range(first, lanes[series + 1]):
        if lane == first:
            begin, stop = _load_lane(data, chunks, offset, length, lane, start, end, times[0], bits[0])
            continue
        other = (row + 1) % 3
        target = (row + 2) % 3
        low, high = _load_lane(data, chunks, offset, length, lane, start, end, times[other], bits[other])
        values = bits.view(np.float64)
        if chain:
            stop = merge_by_time(
                times[row][begin:stop],
                values[row][begin:stop],
                times[other][low:high],
                values[other][low:high],
                times[target],
                values[target],
            )
        else:
            stop = merge_by_penalty(
                times[row][begin:stop],
                values[row][begin:stop],
                times[other][low:high],
                values[other][low:high],
                counter,
                times[target],
                values[target],
            )
        row, begin = target, 0
    return row, begin, stop


@kernel
def without_stale(times, values, count):
    """Close the gaps that staleness markers leave, in place; how many samples are left."""
    marked = 0
    for at in range(count):
        marked += values[at] != values[at]
    if marked == 0:
        return count
    bits = values.view(np.uint64)
    kept = 0
    for at in range(count):
        if bits[at] != STALE:
            times[kept] = times[at]
            bits[kept] = bits[at]
            kept += 1
    return kept
