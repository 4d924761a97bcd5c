"""Chunks of native histograms decoded into columns.

The format, and its source, are those of `app.engine.histogram.chunks`, which reads one chunk into objects and
is the plain twin. What these kernels do not take, for whatever reason, is left to it.
"""

import numpy as np

from app.engine.kernels.aggregates import find_members
from app.engine.kernels.histogram_layouts import (
    BOUNDS,
    FIRST_BOUND,
    FIRST_INDEX,
    HALF,
    HEADER,
    LAYOUT_COLUMNS,
    NEGATIVE,
    POSITIVE,
    THREE_QUARTERS,
    read_layout,
    same_as_before,
    signed,
    varbit,
)
from app.engine.kernels.tables import (
    FARTHEST,
    MALFORMED,
    MEMBER_END,
    MEMBER_START,
    MEMBER_TYPE,
    NOT_FLOATS,
    PLAIN,
    RAW,
)
from app.engine.kernels.xor import decode_chunk, sample_count, take
from app.kernels.bits import load_be64
from app.kernels.jit import kernel

# A histogram: its layout, where its buckets begin, and what is known of resets before it.
LAYOUT, FIRST_BUCKET, HINT = 0, 1, 2
ROW_COLUMNS = 3
UNKNOWN, RESET, NOT_RESET, GAUGE = 0, 1, 2, 3
COUNT, SUM, ZERO_COUNT = 0, 1, 2
NUMBERS = 3
A_FLOAT, A_MARKER = -1, -2
"""In the place of a histogram's row: a float, or the staleness marker of histograms."""

# Sizes, as `measure_histograms` counts them; `decode_histograms` says how much it has used.
SAMPLES, ROWS, BUCKETS, LAYOUTS, INDEXES, LIMITS, WIDEST = 0, 1, 2, 3, 4, 5, 6
SIZES = 7
_LAST = WIDEST
"""While decoding: the time of the last sample."""

_STALE = np.uint64(0x7FF0000000000002)


@kernel
def _payload(data, kind, offset, length, members):
    """Type, start and length of a chunk; its type is negative where it is no raw one, or MALFORMED."""
    if kind == PLAIN:
        return np.int64(0), offset, length
    if find_members(data, offset, length, members) < 0:
        return np.int64(MALFORMED), offset, length
    raw = members[RAW]
    encoding = raw[MEMBER_TYPE] if 0 <= raw[MEMBER_TYPE] <= 2 else np.int64(NOT_FLOATS)
    return encoding, raw[MEMBER_START], raw[MEMBER_END] - raw[MEMBER_START]


@kernel
def measure_histograms(data, kind, offset, length, members, sizes):
    """How much there may be at most in the chunks of one lane.

    :param kind, offset, length: int64 (chunks,).
    :param members: int64 (MEMBERS, 3), scratch.
    :param sizes: int64 (SIZES,), filled; WIDEST: the buckets of the sample with most of them.
    :returns: 0, or a negative code for what `decode_histograms` does not take.
    """
    sizes[:] = 0
    layout, threshold = np.zeros(LAYOUT_COLUMNS, np.int64), np.empty(1, np.float64)
    no_indexes, no_bounds = np.empty(0, np.int64), np.empty(0, np.float64)
    for chunk in range(kind.size):
        encoding, at, size = _payload(data, kind[chunk], offset[chunk], length[chunk], members)
        if encoding < 0:
            return encoding
        if encoding == 0:
            count = sample_count(data, at, size)
            if count < 0:
                return np.int64(MALFORMED)
            sizes[SAMPLES] += count
            continue
        if size < HEADER:
            return np.int64(MALFORMED)
        count = (np.int64(data[at]) << 8) | np.int64(data[at + 1])
        if count == 0:
            continue
        if read_layout(data, at, size, layout, threshold, no_indexes, no_bounds) < 0:
            return np.int64(MALFORMED)
        width = layout[POSITIVE] + layout[NEGATIVE]
        sizes[SAMPLES] += count
        sizes[ROWS] += count
        # A bucket takes a bit at least: more than those are not there, whatever the header says.
        sizes[BUCKETS] += min(count * width, 8 * size)
        sizes[LAYOUTS] += 1
        sizes[INDEXES] += width
        sizes[LIMITS] += layout[BOUNDS]
        sizes[WIDEST] = max(sizes[WIDEST], width)
    return np.int64(0)


@kernel
def _xor(data, bit, value, leading, trailing):
    """The next float of a sequence, its window, and the position behind it, negative where malformed."""
    word = load_be64(data, bit >> 3) << np.uint64(bit & 7)
    if word < HALF:
        return value, leading, trailing, bit + 1
    if (word << np.uint64(1)) < HALF:
        bit += 2
    else:
        leading = np.int64((word << np.uint64(2)) >> np.uint64(59))
        width = np.int64((word << np.uint64(7)) >> np.uint64(58))
        if width == 0:
            width = np.int64(64)
        trailing = 64 - leading - width
        if trailing < 0:
            return value, leading, trailing, np.int64(MALFORMED)
        bit += 13
    width = 64 - leading - trailing
    value ^= take(data, bit, width) << np.uint64(trailing)
    return value, leading, trailing, bit + width


@kernel
def _began(state, times, values, rows, numbers, used, time, total, layout, hint):
    """Make room for a sample: the place of its histogram, negative where it is a marker."""
    out = used[SAMPLES]
    times[out] = time
    values.view(np.uint64)[out] = total
    used[SAMPLES] = out + 1
    used[_LAST] = time
    if total == _STALE:
        rows[out] = A_MARKER
        return np.int64(-1)
    row = used[ROWS]
    rows[out] = row
    used[ROWS] = row + 1
    numbers[row, LAYOUT] = layout
    numbers[row, FIRST_BUCKET] = used[BUCKETS]
    numbers[row, HINT] = hint
    return row


@kernel
def _integers(
    data, bit, limit, number, layout, positive, width, gauge, end, state, times, values, rows, numbers,
    counts, buckets, used,
):  # fmt: skip
    """The samples of a chunk of integers; 0 or MALFORMED."""
    time, count, zero = np.int64(0), np.int64(0), np.int64(0)
    time_step, count_step, zero_step = np.int64(0), np.int64(0), np.int64(0)
    total, leading, trailing = np.uint64(0), np.int64(0), np.int64(0)
    heights, steps = state[0], state[1]
    steps[:width] = 0
    for position in range(number):
        if position == 0:
            time, bit = signed(data, bit)
            if bit > limit:
                return np.int64(MALFORMED)
            stored, _, bit = varbit(data, bit)
            if bit > limit:
                return np.int64(MALFORMED)
            count = np.int64(stored)
            stored, _, bit = varbit(data, bit)
            if bit + 64 > limit:
                return np.int64(MALFORMED)
            zero = np.int64(stored)
            total = take(data, bit, 64)
            bit += 64
        else:
            change, bit = signed(data, bit)
            if bit > limit:
                return np.int64(MALFORMED)
            time_step += change
            time += time_step
            change, bit = signed(data, bit)
            if bit > limit:
                return np.int64(MALFORMED)
            count_step += change
            count += count_step
            change, bit = signed(data, bit)
            if bit > limit:
                return np.int64(MALFORMED)
            zero_step += change
            zero += zero_step
            total, leading, trailing, bit = _xor(data, bit, total, leading, trailing)
            if bit < 0 or bit > limit:
                return np.int64(MALFORMED)
        if position == 0 or total != _STALE:  # a staleness marker has no buckets
            for place in range(width):
                word = load_be64(data, bit >> 3) << np.uint64(bit & 7)
                if word < HALF:  # as most are
                    change = np.int64(0)
                    bit += 1
                elif word < THREE_QUARTERS:
                    change = (np.int64((word << np.uint64(2)) >> np.uint64(61)) + 3) % 8 - 3
                    bit += 5
                else:
                    change, bit = signed(data, bit)
                if bit > limit:
                    return np.int64(MALFORMED)
                if position == 0:
                    heights[place] = change
                else:
                    steps[place] += change
                    heights[place] += steps[place]
        if time > end:
            used[_LAST] = end
            return np.int64(0)
        if time <= used[_LAST]:
            continue
        hint = GAUGE if gauge else UNKNOWN if position == 0 else NOT_RESET
        row = _began(state, times, values, rows, numbers, used, time, total, layout, hint)
        if row < 0:
            continue
        counts[row, COUNT] = np.float64(np.uint64(count))
        counts[row, ZERO_COUNT] = np.float64(np.uint64(zero))
        counts.view(np.uint64)[row, SUM] = total
        first = used[BUCKETS]
        height = np.int64(0)
        for place in range(width):
            height = heights[place] if place in (0, positive) else height + heights[place]
            buckets[first + place] = np.float64(height)
        used[BUCKETS] = first + width
    return np.int64(0)


@kernel
def _floats(
    data, bit, limit, number, layout, width, gauge, end, state, times, values, rows, numbers, counts,
    buckets, used,
):  # fmt: skip
    """The samples of a chunk of floats; 0 or MALFORMED."""
    time, time_step = np.int64(0), np.int64(0)
    bits, leading, trailing = state[0].view(np.uint64), state[1], state[2]
    leading[:] = 0
    trailing[:] = 0
    # Behind the buckets: count, zero count and sum, which come first.
    tail = width + np.array([COUNT, ZERO_COUNT, SUM])
    total = np.uint64(0)
    for position in range(number):
        change, bit = signed(data, bit)
        if bit > limit:
            return np.int64(MALFORMED)
        if position == 0:
            time = change
        else:
            time_step += change
            time += time_step
        for which in range(3 + width):
            place = tail[which] if which < 3 else which - 3
            if which == 3 and position > 0 and total == _STALE:
                break
            if position == 0:
                if bit + 64 > limit:
                    return np.int64(MALFORMED)
                bits[place] = take(data, bit, 64)
                bit += 64
            else:
                bits[place], leading[place], trailing[place], bit = _xor(
                    data, bit, bits[place], leading[place], trailing[place]
                )
                if bit < 0 or bit > limit:
                    return np.int64(MALFORMED)
            if which == 2:
                total = bits[place]
        if time > end:
            used[_LAST] = end
            return np.int64(0)
        if time <= used[_LAST]:
            continue
        hint = GAUGE if gauge else UNKNOWN if position == 0 else NOT_RESET
        row = _began(state, times, values, rows, numbers, used, time, total, layout, hint)
        if row < 0:
            continue
        first = used[BUCKETS]
        buckets.view(np.uint64)[first : first + width] = bits[:width]
        counts.view(np.uint64)[row] = bits[width : width + NUMBERS]
        used[BUCKETS] = first + width
    return np.int64(0)


@kernel
def decode_histograms(
    data, kind, offset, length, start, end, members, state, layouts, thresholds, indexes, bounds, times,
    values, rows, numbers, counts, buckets, used,
):  # fmt: skip
    """Write the samples of one lane that lie in ``[start, end]``, floats and histograms, in order of time.

    :param data: uint8, with `PADDING` bytes behind the last payload.
    :param state: int64 (3, WIDEST + NUMBERS), scratch.
    :param layouts: int64 (LAYOUTS, LAYOUT_COLUMNS), filled, with the indexes of buckets in `indexes`,
        positive ones first, `thresholds` of the zero bucket and custom `bounds`; sizes are as measured.
    :param values: float64; at a histogram's place its sum, or the staleness marker.
    :param rows: int64 (SAMPLES,), the histogram of each sample, or A_FLOAT or A_MARKER.
    :param numbers: int64 (ROWS, ROW_COLUMNS), and `counts`, float64 (ROWS, NUMBERS): the histograms.
    :param buckets: float64 (BUCKETS,), in the order of the layout's indexes.
    :param used: int64 (SIZES,), filled with how much of each there is.
    :returns: 0, or a negative code.
    """
    used[:] = 0
    used[_LAST] = max(start, np.int64(-FARTHEST)) - 1
    end = min(end, np.int64(FARTHEST))
    bits = values.view(np.uint64)
    for chunk in range(kind.size):
        if used[_LAST] >= end:
            break
        encoding, at, size = _payload(data, kind[chunk], offset[chunk], length[chunk], members)
        if encoding == 0:
            out, last = decode_chunk(data, at, size, used[_LAST], end, False, times, bits, used[SAMPLES])
            if out < 0:
                return np.int64(out)
            rows[used[SAMPLES] : out] = A_FLOAT
            used[SAMPLES] = out
            used[_LAST] = last
            continue
        number = (np.int64(data[at]) << 8) | np.int64(data[at + 1])
        if number == 0:
            continue
        gauge = data[at + 2] >> 6 == GAUGE
        layout = used[LAYOUTS]
        row = layouts[layout]
        row[FIRST_INDEX], row[FIRST_BOUND] = used[INDEXES], used[LIMITS]
        bit = read_layout(data, at, size, row, thresholds[layout : layout + 1], indexes, bounds)
        if bit < 0:
            return np.int64(MALFORMED)
        width = row[POSITIVE] + row[NEGATIVE]
        if same_as_before(layouts, thresholds, indexes, bounds, layout):
            layout -= 1
        else:
            used[LAYOUTS] += 1
            used[INDEXES] += width
            used[LIMITS] += row[BOUNDS]
        if encoding == 1:
            code = _integers(
                data, bit, (at + size) << 3, number, layout, row[POSITIVE], width, gauge, end, state, times,
                values, rows, numbers, counts, buckets, used,
            )  # fmt: skip
        else:
            code = _floats(
                data, bit, (at + size) << 3, number, layout, width, gauge, end, state, times, values, rows,
                numbers, counts, buckets, used,
            )  # fmt: skip
        if code < 0:
            return code
    return np.int64(0)
