"""Labels of series as numbers: every string of an answer kept once, series sorted and grouped by ranks.

Strings live end to end in `text`, the n-th in ``text[bounds[n] : bounds[n + 1]]``. `slots` is a hash table of
their numbers, open addressing, at most half full; its size is a power of two, and -1 marks a free slot.
"""

import numpy as np

from app.engine.kernels.tables import (
    CANCELLED,
    KIND,
    LENGTH,
    MALFORMED,
    MAX_TIME,
    MIN_TIME,
    NO_ROOM,
    OTHER,
    PLAIN,
    SERIES,
    START,
    STRINGS,
)
from app.kernels.bits import load_be64
from app.kernels.jit import inlined, kernel
from app.kernels.walk import skip, span, tag, varint

_PRIME = np.uint64(0x9E3779B97F4A7C15)


@inlined
def _mixed(value, word):
    value = (value ^ word) * _PRIME
    return value ^ (value >> np.uint64(29))


@kernel
def _hash(data, start, end, seed):
    """A hash that somebody who does not know `seed` cannot make collide."""
    value = seed ^ np.uint64(end - start)
    at = start
    while at + 8 <= end:
        value = _mixed(value, load_be64(data, at))
        at += 8
    word = np.uint64(1)
    while at < end:
        word = (word << np.uint64(8)) | np.uint64(data[at])
        at += 1
    return _mixed(_mixed(value, word), seed)


@inlined
def _is_text(data, start, end, text, bounds, number):
    """Whether ``data[start:end]`` is a string that is known already."""
    begin = bounds[number]
    if bounds[number + 1] - begin != end - start:
        return False
    at = start
    while at + 8 <= end:
        if load_be64(data, at) != load_be64(text, begin):
            return False
        at += 8
        begin += 8
    while at < end:
        if data[at] != text[begin]:
            return False
        at += 1
        begin += 1
    return True


@kernel
def intern(data, start, end, text, bounds, slots, sizes, seed):
    """The number of ``data[start:end]``, which becomes the next one if it is new; or NO_ROOM."""
    mask = np.uint64(slots.size - 1)
    slot = np.int64(_hash(data, start, end, seed) & mask)
    length = end - start
    while slots[slot] >= 0:
        known = np.int64(slots[slot])
        if _is_text(data, start, end, text, bounds, known):
            return known
        slot = np.int64(np.uint64(slot + 1) & mask)
    number = sizes[STRINGS]
    begin = bounds[number]
    if 2 * (number + 1) > slots.size or number + 2 > bounds.size or begin + length > text.size:
        return np.int64(NO_ROOM)
    for offset in range(length):
        text[begin + offset] = data[start + offset]
    bounds[number + 1] = begin + length
    slots[slot] = number
    sizes[STRINGS] = number + 1
    return number


@kernel
def refill(text, bounds, slots, sizes, seed):
    """Put all strings into a larger hash table, whose slots are free."""
    mask = np.uint64(slots.size - 1)
    for number in range(sizes[STRINGS]):
        slot = np.int64(_hash(text, bounds[number], bounds[number + 1], seed) & mask)
        while slots[slot] >= 0:
            slot = np.int64(np.uint64(slot + 1) & mask)
        slots[slot] = number


@inlined
def _read_label(data, at, end, replicas, text, bounds, slots, sizes, seed, pairs, count, like):
    """Add a Label{1 name, 2 value} to `pairs`, unless it is a replica label or says nothing; the number of
    pairs, or a negative code.

    :param like: a pair that it may well be, since series that follow each other differ in few labels.
    """
    name_start = name_end = value_start = value_end = np.int64(0)
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED)
        if field == 0x0A or field == 0x12:
            start, behind = span(data, at, end)
            if start < 0:
                return np.int64(MALFORMED)
            if field == 0x0A:
                name_start, name_end = start, behind
            else:
                value_start, value_end = start, behind
            at = behind
        else:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return np.int64(MALFORMED)
    if value_start == value_end:
        return np.int64(count)
    name = np.int64(pairs[like, 0]) if like < count else np.int64(0)
    if like >= count or not _is_text(data, name_start, name_end, text, bounds, name):
        name = intern(data, name_start, name_end, text, bounds, slots, sizes, seed)
    if name < 0:
        return name
    if name < replicas:
        return np.int64(count)
    value = np.int64(pairs[like, 1]) if like < count else np.int64(0)
    if like >= count or not _is_text(data, value_start, value_end, text, bounds, value):
        value = intern(data, value_start, value_end, text, bounds, slots, sizes, seed)
    if value < 0:
        return value
    if count >= pairs.shape[0]:
        return np.int64(NO_ROOM)
    pairs[count, 0], pairs[count, 1] = name, value
    return np.int64(count + 1)


@kernel
def _payload(data, at, end):
    """Type, start and end of the data of a Chunk{1 type, 2 data, 3 hash}; the type is negative when
    malformed."""
    kind, start, behind = np.int64(0), np.int64(at), np.int64(at)
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED), start, behind
        if field == 0x08:
            kind, at = varint(data, at, end)
            kind = np.int64(max(kind, 0))
        elif field == 0x12:
            start, behind = span(data, at, end)
            at = behind
        else:
            at = skip(data, at, end, field & 7)
        if at < 0:
            return np.int64(MALFORMED), np.int64(0), np.int64(0)
    return kind, start, behind


@kernel
def _read_chunk(data, base, at, end, chunks, count):
    """Add an AggrChunk to `chunks`, unless there is nothing in it; the number of chunks, or a code."""
    if count >= chunks.shape[0]:
        return np.int64(NO_ROOM)
    row = chunks[count]
    row[MIN_TIME] = row[MAX_TIME] = 0
    row[START], row[LENGTH], row[KIND] = base + at, end - at, OTHER
    members, raw = 0, False
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED)
        if field == 0x08 or field == 0x10:
            value, at = varint(data, at, end)
            row[MIN_TIME if field == 0x08 else MAX_TIME] = value
        elif field & 7 == 2 and 0x1A <= field <= 0x42:
            start, behind = span(data, at, end)
            if start < 0:
                return np.int64(MALFORMED)
            members += 1
            if field == 0x1A:
                kind, first, last = _payload(data, start, behind)
                if kind < 0:
                    return np.int64(MALFORMED)
                if kind == 0 and not raw:
                    row[START], row[LENGTH], row[KIND] = base + first, last - first, PLAIN
                raw = True
            at = behind
        else:
            at = skip(data, at, end, field & 7)
        if at < 0:
            return np.int64(MALFORMED)
    return np.int64(count + 1 if members else count)


@kernel
def _read_body(
    data, base, at, end, replicas, text, bounds, slots, sizes, seed, pairs, pair, before, chunks, chunk
):  # fmt: skip
    """Add the labels and chunks of a Series{1 labels, 2 chunks}; the numbers of pairs and of chunks, the
    first negative on failure.

    :param before: the first pair of the series before this one.
    """
    back = np.int64(pair - before)
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED), chunk
        if field == 0x0A or field == 0x12:
            start, at = span(data, at, end)
            if start < 0:
                return np.int64(MALFORMED), chunk
            if field == 0x0A:
                like = np.int64(pair - back) if back else np.int64(pair)
                pair = _read_label(
                    data, start, at, replicas, text, bounds, slots, sizes, seed, pairs, pair, like
                )
                if pair < 0:
                    return pair, chunk
            else:
                chunk = _read_chunk(data, base, start, at, chunks, chunk)
                if chunk < 0:
                    return chunk, chunk
        else:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return np.int64(MALFORMED), chunk
    return np.int64(pair), np.int64(chunk)


@kernel
def read_series(
    data, base, bodies, row, count, replicas, text, bounds, slots, sizes, seed, pairs, pair_bounds, chunks,
    chunk_bounds, cancel,
):  # fmt: skip
    """Take in series of one block.

    :param data: uint8, the block; `base`: where it stands in the blocks laid end to end.
    :param bodies: int64 (rows, 2), start and end of each Series message; read from `row` to `count`.
    :param replicas: labels with the names of the first so many strings are left out.
    :param sizes: int64 (SIZES,), how many strings and series there are; moved on.
    :param pairs: int32 (pairs, 2), numbers of name and value; series `n` has those from ``pair_bounds[n]`` to
        ``pair_bounds[n + 1]``.
    :param chunks: int64 (chunks, CHUNK_COLUMNS); likewise with `chunk_bounds`.
    :param cancel: uint8 (1,), not 0 once the result is not wanted any more.
    :returns: the next row, and 0 or a negative code; NO_ROOM: go on from that row with larger arrays.
    """
    while row < count:
        if cancel[0]:
            return np.int64(row), np.int64(CANCELLED)
        series = sizes[SERIES]
        if series + 2 > pair_bounds.size or series + 2 > chunk_bounds.size:
            return np.int64(row), np.int64(NO_ROOM)
        pair, chunk = _read_body(
            data, base, bodies[row, 0], bodies[row, 1], replicas, text, bounds, slots, sizes, seed, pairs,
            pair_bounds[series], pair_bounds[max(series - 1, 0)], chunks, chunk_bounds[series],
        )  # fmt: skip
        if pair < 0:
            return np.int64(row), pair
        pair_bounds[series + 1], chunk_bounds[series + 1] = pair, chunk
        sizes[SERIES] = series + 1
        row += 1
    return np.int64(row), np.int64(0)


@kernel
def rank_pairs(pairs, pair_bounds, count, ranks, widths, cancel):
    """Replace the strings' numbers in `pairs` by their ranks, and put each series' labels in the order of
    their names; of labels with one name the first stays.

    :param ranks: int32 (strings,), the place of each string in their order.
    :param widths: int64 (series,), filled with how many labels each has.
    :returns: the largest width, or CANCELLED.
    """
    widest = np.int64(0)
    for series in range(count):
        if cancel[0]:
            return np.int64(CANCELLED)
        first = pair_bounds[series]
        kept = first
        for position in range(first, pair_bounds[series + 1]):
            name, value = ranks[pairs[position, 0]], ranks[pairs[position, 1]]
            at = kept
            while at > first and pairs[at - 1, 0] > name:
                at -= 1
            if at > first and pairs[at - 1, 0] == name:
                continue
            for moved in range(kept, at, -1):
                pairs[moved, 0], pairs[moved, 1] = pairs[moved - 1, 0], pairs[moved - 1, 1]
            pairs[at, 0], pairs[at, 1] = name, value
            kept += 1
        widths[series] = kept - first
        widest = max(widest, kept - first)
    return widest


@inlined
def _compare(pairs, pair_bounds, widths, a, b):
    """Negative, 0 or positive, as the label sets of two series compare: pair by pair, shorter first."""
    start_a, start_b = pair_bounds[a], pair_bounds[b]
    for offset in range(min(widths[a], widths[b])):
        for column in range(2):
            difference = np.int64(pairs[start_a + offset, column]) - np.int64(pairs[start_b + offset, column])
            if difference != 0:
                return difference
    return widths[a] - widths[b]


@kernel
def sort_series(pairs, pair_bounds, widths, rows, scratch, cancel):
    """Sort `rows`, positions of series, by their labels; stable, by merging runs of growing length.

    :param pairs: ranks, as `rank_pairs` leaves them.
    :returns: 0, or CANCELLED.
    """
    count = rows.size
    width = 1
    while width < count:
        for left in range(0, count, 2 * width):
            if cancel[0]:
                return np.int64(CANCELLED)
            middle = min(left + width, count)
            right = min(left + 2 * width, count)
            if middle >= right or _compare(pairs, pair_bounds, widths, rows[middle - 1], rows[middle]) <= 0:
                continue  # what endpoints send is in order already
            scratch[left:middle] = rows[left:middle]
            i, j = left, middle
            for at in range(left, right):
                if i >= middle:
                    break
                if j >= right or _compare(pairs, pair_bounds, widths, scratch[i], rows[j]) <= 0:
                    rows[at] = scratch[i]
                    i += 1
                else:
                    rows[at] = rows[j]
                    j += 1
        width *= 2
    return np.int64(0)


@kernel
def group_series(pairs, pair_bounds, widths, rows, starts):
    """Where runs of equal label sets begin in `rows`; returns how many there are, say n.

    :param starts: int64 (series + 1,), ``starts[n]`` is the number of rows.
    """
    found = 0
    for position in range(rows.size):
        if position == 0 or _compare(pairs, pair_bounds, widths, rows[position - 1], rows[position]) != 0:
            starts[found] = position
            found += 1
    starts[found] = rows.size
    return found


@kernel
def fill_columns(pairs, pair_bounds, widths, rows, starts, names, values, cancel):
    """Write the labels of the first series of each group.

    :param names: int32 (groups, width), -1 past the last label; `values` likewise.
    :returns: 0, or CANCELLED.
    """
    for group in range(names.shape[0]):
        if cancel[0]:
            return np.int64(CANCELLED)
        series = rows[starts[group]]
        first = pair_bounds[series]
        for label in range(names.shape[1]):
            there = label < widths[series]
            names[group, label] = pairs[first + label, 0] if there else -1
            values[group, label] = pairs[first + label, 1] if there else -1
    return np.int64(0)
