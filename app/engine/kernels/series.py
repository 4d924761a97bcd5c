"""From chunks to the samples of whole series: lanes decoded, and merged where there are several."""

import numpy as np

from app.engine.kernels.penalty import chain_merge, penalty_merge, remove_resets
from app.engine.kernels.tables import CANCELLED, CHAIN, FARTHEST, MALFORMED, PENALTY_COUNTER
from app.engine.kernels.xor import decode_chunk, sample_count
from app.kernels.jit import kernel


@kernel
def count_samples(data, lanes, chunks, offset, length, low, high, counts, cancel):
    """How many samples the series ``[low, high)`` may have at most, before any is decoded.

    :param lanes, chunks, offset, length: of a ChunkTable.
    :param counts: int64 (high - low,), filled.
    :param cancel: uint8 (1,), not 0 once the result is not wanted any more.
    :returns: rows done, and 0 or a negative code (MALFORMED: the row behind them).
    """
    for row in range(low, high):
        if cancel[0]:
            return row - low, np.int64(CANCELLED)
        total = np.int64(0)
        for chunk in range(chunks[lanes[row]], chunks[lanes[row + 1]]):
            found = sample_count(data, offset[chunk], length[chunk])
            if found < 0:
                return row - low, np.int64(MALFORMED)
            total += found
        counts[row - low] = total
    return high - low, np.int64(0)


@kernel
def decode_lane(data, chunks, offset, length, lane, start, end, times, values, out):
    """Write the samples of one lane that lie in ``[start, end]``, those that do not go forward left out.

    :returns: the position behind them, or a negative code.
    """
    bits = values.view(np.uint64)
    last = max(start, np.int64(-FARTHEST)) - 1
    end = min(end, np.int64(FARTHEST))
    for chunk in range(chunks[lane], chunks[lane + 1]):
        if last >= end:
            break
        out, last = decode_chunk(data, offset[chunk], length[chunk], last, end, False, times, bits, out)
        if out < 0:
            break
    return np.int64(out)


@kernel
def _prepared_lane(data, chunks, offset, length, lane, start, end, mode, times, values):
    """A lane that is to be merged, at the front of `times` and `values`; its size, or a negative code."""
    count = decode_lane(data, chunks, offset, length, lane, start, end, times, values, 0)
    if count > 0 and mode == PENALTY_COUNTER:
        count = np.int64(remove_resets(times, values, count))
    return count


@kernel
def decode_series(
    data, lanes, chunks, offset, length, row, start, end, mode, times, values, out, spare_times, spare_values
):
    """Write the samples of one series that lie in ``[start, end]``, its lanes merged from first to last.

    :param mode: PENALTY, PENALTY_COUNTER or CHAIN; of no effect on a series with one lane.
    :param times: int64, milliseconds since the epoch, filled from `out` on; with room for as many samples as
        `count_samples` says, as `values`, float64.
    :param spare_times: int64 (2, samples), scratch with the same room; `spare_values` likewise, float64.
    :returns: the position behind them, or a negative code.
    """
    first, behind = lanes[row], lanes[row + 1]
    if first == behind:
        return np.int64(out)
    if behind - first == 1:
        return decode_lane(data, chunks, offset, length, first, start, end, times, values, out)
    times_a, times_b = spare_times[0], spare_times[1]
    values_a, values_b = spare_values[0], spare_values[1]
    times, values = times[out:], values[out:]
    floats, picks = np.empty(0, np.uint8), np.empty(0, np.int64)
    count = _prepared_lane(data, chunks, offset, length, first, start, end, mode, times_a, values_a)
    for lane in range(first + 1, behind):
        if count < 0:
            return count
        more = _prepared_lane(data, chunks, offset, length, lane, start, end, mode, times_b, values_b)
        if more < 0:
            return more
        if lane > first + 1:
            times_a[:count] = times[:count]
            values_a[:count] = values[:count]
        if mode == CHAIN:
            count = np.int64(
                chain_merge(times_a, values_a, count, times_b, values_b, more, times, values, picks)
            )
        else:
            count = np.int64(
                penalty_merge(
                    times_a, values_a, count, times_b, values_b, more, mode == PENALTY_COUNTER,
                    floats, floats, times, values, picks,
                )
            )  # fmt: skip
    return out + count


@kernel
def decode_rows(
    data, lanes, chunks, offset, length, low, high, start, end, mode, times, values, ends, spare_times,
    spare_values, cancel,
):  # fmt: skip
    """Write the samples of the series ``[low, high)`` one behind the other.

    :param ends: int64 (high - low,), filled with the position behind each series.
    :param cancel: uint8 (1,), not 0 once the result is not wanted any more.
    :returns: rows done, and 0 or a negative code.
    """
    out = np.int64(0)
    for row in range(low, high):
        if cancel[0]:
            return row - low, np.int64(CANCELLED)
        out = decode_series(
            data, lanes, chunks, offset, length, row, start, end, mode, times, values, out, spare_times,
            spare_values,
        )  # fmt: skip
        if out < 0:
            return row - low, out
        ends[row - low] = out
    return high - low, np.int64(0)
