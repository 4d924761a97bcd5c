"""What all histograms of a chunk have in common, read from its beginning; and integers of varying width.

The format, and its source, are those of `app.engine.histogram.chunks`.
"""

import math

import numpy as np

from app.engine.kernels.tables import MALFORMED
from app.engine.kernels.xor import take
from app.kernels.bits import load_be64
from app.kernels.jit import kernel

# A layout, one row.
SCHEMA, POSITIVE, NEGATIVE, BOUNDS, FIRST_INDEX, FIRST_BOUND = 0, 1, 2, 3, 4, 5
LAYOUT_COLUMNS = 6

HEADER = 3
_HIGHEST_SCHEMA = 8
_CUSTOM = -53
_FARTHEST_INDEX = 1 << 31
_EXACT = 1 << 53
_WIDTHS = np.array([0, 3, 6, 9, 12, 18, 25, 56, 64], np.int64)
"""Of an integer, by the ones before it."""
_AT_ONCE = 25
"""The widest integer that one load holds with what is before it."""
HALF, THREE_QUARTERS = np.uint64(1 << 63), np.uint64(3 << 62)
"""What a word that begins with a one is not less than, and one that begins with two ones."""


@kernel
def varbit(data, bit):
    """The bits of an integer, how many they are, and the position behind them."""
    word = load_be64(data, bit >> 3) << np.uint64(bit & 7)
    if word < HALF:
        return np.uint64(0), np.int64(0), bit + 1
    ones = 0
    while ones < 8 and word >= HALF:
        word <<= np.uint64(1)
        ones += 1
    width = _WIDTHS[ones]
    bit += min(ones + 1, 8)
    if width <= _AT_ONCE:
        return (word << np.uint64(1)) >> np.uint64(64 - width), width, bit + width
    return take(data, bit, width), width, bit + width


@kernel
def signed(data, bit):
    """An integer, and the position behind it. All widths but the widest hold one more positive number."""
    stored, width, bit = varbit(data, bit)
    value = np.int64(stored)
    if 0 < width < 64 and value > np.int64(1) << (width - 1):
        value -= np.int64(1) << width
    return value, bit


@kernel
def _spans(data, bit, limit, indexes, out):
    """How many buckets one sign has, and the position behind them; their indexes, where there is room."""
    spans, _, bit = varbit(data, bit)
    if bit > limit or spans > np.uint64(limit):
        return np.int64(MALFORMED), bit
    count, start = np.int64(0), np.int64(0)
    for number in range(np.int64(spans)):
        size, _, bit = varbit(data, bit)
        if bit > limit:
            return np.int64(MALFORMED), bit
        offset, bit = signed(data, bit)
        if bit > limit or size > np.uint64(limit - bit) or abs(offset) > _FARTHEST_INDEX:
            return np.int64(MALFORMED), bit
        start += offset
        if (number > 0 and offset < 0) or abs(start) > _FARTHEST_INDEX:
            return np.int64(MALFORMED), bit
        for _ in range(np.int64(size)):
            if out + count < indexes.size:
                indexes[out + count] = start
            start += 1
            count += 1
        if count > limit - bit or start >= _FARTHEST_INDEX:
            return np.int64(MALFORMED), bit
    return count, bit


@kernel
def _bounds(data, bit, limit, bounds, out):
    """How many custom bounds there are, and the position behind them; the bounds, where there is room."""
    number, _, bit = varbit(data, bit)
    if bit > limit or number > np.uint64(limit):
        return np.int64(MALFORMED), bit
    word = np.empty(1, np.uint64)
    before = -np.inf
    for place in range(np.int64(number)):
        stored, _, bit = varbit(data, bit)
        if bit > limit or stored > np.uint64(_EXACT):
            return np.int64(MALFORMED), bit
        if stored == 0:
            word[0] = take(data, bit, 64)
            bit += 64
            bound = word.view(np.float64)[0]
        else:
            bound = (np.int64(stored) - 1) / 1000
        if bit > limit or not (before < bound < np.inf):
            return np.int64(MALFORMED), bit
        if out + place < bounds.size:
            bounds[out + place] = bound
        before = bound
    return np.int64(number), bit


@kernel
def read_layout(data, at, length, layout, threshold, indexes, bounds):
    """Read what the samples of a chunk have in common.

    :param layout: int64 (LAYOUT_COLUMNS,), filled; where it begins in `indexes` and `bounds` is in it.
    :param threshold: float64 (1,), filled.
    :returns: the position in bits behind it, or MALFORMED.
    """
    if length < HEADER + 1:
        return np.int64(MALFORMED)
    limit = (at + length) << 3
    first = np.int64(data[at + HEADER])
    bit = (at + HEADER + 1) << 3
    threshold[0] = 0.0
    if first == 255:
        threshold.view(np.uint64)[0] = take(data, bit, 64)
        bit += 64
        if bit > limit or not (0 <= threshold[0] < np.inf):
            return np.int64(MALFORMED)
    elif first > 0:
        threshold[0] = math.ldexp(0.5, int(first) - 243)
    schema, bit = signed(data, bit)
    if bit > limit or (schema != _CUSTOM and not -9 <= schema <= _HIGHEST_SCHEMA):
        return np.int64(MALFORMED)
    layout[SCHEMA] = schema
    layout[BOUNDS] = 0
    layout[POSITIVE], bit = _spans(data, bit, limit, indexes, layout[FIRST_INDEX])
    if layout[POSITIVE] < 0:
        return np.int64(MALFORMED)
    after = layout[FIRST_INDEX] + layout[POSITIVE]
    layout[NEGATIVE], bit = _spans(data, bit, limit, indexes, after)
    if layout[NEGATIVE] < 0:
        return np.int64(MALFORMED)
    if schema == _CUSTOM:
        layout[BOUNDS], bit = _bounds(data, bit, limit, bounds, layout[FIRST_BOUND])
        if layout[BOUNDS] < 0 or layout[NEGATIVE] > 0:
            return np.int64(MALFORMED)
        for place in range(layout[FIRST_INDEX], min(after, indexes.size)):
            if not 0 <= indexes[place] <= layout[BOUNDS]:
                return np.int64(MALFORMED)
    return np.int64(bit)


@kernel
def same_as_before(layouts, thresholds, indexes, bounds, number):
    """Whether layout `number` is that of the chunk before."""
    if number == 0 or thresholds[number] != thresholds[number - 1]:
        return False
    new, old = layouts[number], layouts[number - 1]
    if (new[: BOUNDS + 1] != old[: BOUNDS + 1]).any():
        return False
    for place in range(new[POSITIVE] + new[NEGATIVE]):
        if indexes[new[FIRST_INDEX] + place] != indexes[old[FIRST_INDEX] + place]:
            return False
    for place in range(new[BOUNDS]):
        if bounds[new[FIRST_BOUND] + place] != bounds[old[FIRST_BOUND] + place]:
            return False
    return True
