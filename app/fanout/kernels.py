"""Kernels of the Series path: protobuf scanned, merged and written as bytes, no object for a series.

All work on one arena of bytes and on tables of int64 offsets into it. They check every bound: what they
read comes from other processes. A plain Python twin of each is in the tests.

Wire format: SeriesResponse{1 series, 2 warning, 3 hints, 4 batch{1 series}}, Series{1 labels{1 name,
2 value}, 2 chunks}, AggrChunk{1 min_time, 2 max_time, 3..8 Chunk{1 type, 2 data, 3 hash}}, each message
behind gRPC's five-byte prefix.

Rows of the series table (int64, one row a series):
"""

import numba as nb
import numpy as np

ENTRY_START = 0  # of the series with its tag and length: ``0a LEN ...``
ENTRY_END = 1
BODY_START = 2  # of the Series message itself
KEY_START = 3  # in the key arena
KEY_END = 4
COLUMNS = 5

# Rows of the table of other messages: kind (the field number, 0 for none that is known), start, end. The
# range is the text of a warning, otherwise the whole SeriesResponse.
OTHER_COLUMNS = 3

MALFORMED = -1
NO_ROOM = -2

_options = {"cache": True, "nogil": True}


@nb.njit(inline="always", **_options)
def _varint(data, at, end):
    """Value and the position behind it, which is negative when the varint is cut short or too long."""
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


@nb.njit(inline="always", **_options)
def _span(data, at, end):
    """Start and end of a length-delimited value at `at`; the start is negative when it does not fit."""
    length, at = _varint(data, at, end)
    if at < 0 or length < 0 or length > end - at:
        return np.int64(-1), np.int64(-1)
    return at, at + length


@nb.njit(inline="always", **_options)
def _skip(data, at, end, wire_type):
    """The position behind a value of an unknown field; negative when malformed."""
    if wire_type == 0:
        _, at = _varint(data, at, end)
        return at
    if wire_type == 2:
        _, behind = _span(data, at, end)
        return behind
    size = 8 if wire_type == 1 else 4 if wire_type == 5 else -1
    if size < 0 or at + size > end:
        return np.int64(-1)
    return at + size


@nb.njit(inline="always", **_options)
def _write_key_part(data, start, end, keys, at):
    """One string of a key: 0 becomes 0 255, and 0 1 ends it, so that bytes compare as strings do."""
    if at + 2 * (end - start) + 2 > keys.size:
        return np.int64(NO_ROOM)
    for position in range(start, end):
        byte = data[position]
        keys[at] = byte
        at += 1
        if byte == 0:
            keys[at] = 255
            at += 1
    keys[at] = 0
    keys[at + 1] = 1
    return np.int64(at + 2)


@nb.njit(**_options)
def _series_key(data, at, end, keys, key_at):
    """Write the merge key of a Series message; returns the key's end, or a negative code."""
    while at < end:
        tag, at = _varint(data, at, end)
        if at < 0:
            return np.int64(MALFORMED)
        if tag != 0x0A:
            at = _skip(data, at, end, tag & 7)
            if at < 0:
                return np.int64(MALFORMED)
            continue
        at, label_end = _span(data, at, end)
        if at < 0:
            return np.int64(MALFORMED)
        name_start = name_end = value_start = value_end = np.int64(0)
        while at < label_end:
            field, at = _varint(data, at, label_end)
            if at < 0:
                return np.int64(MALFORMED)
            if field == 0x0A or field == 0x12:
                start, behind = _span(data, at, label_end)
                if start < 0:
                    return np.int64(MALFORMED)
                if field == 0x0A:
                    name_start, name_end = start, behind
                else:
                    value_start, value_end = start, behind
                at = behind
            else:
                at = _skip(data, at, label_end, field & 7)
                if at < 0:
                    return np.int64(MALFORMED)
        key_at = _write_key_part(data, name_start, name_end, keys, key_at)
        if key_at < 0:
            return np.int64(NO_ROOM)
        key_at = _write_key_part(data, value_start, value_end, keys, key_at)
        if key_at < 0:
            return np.int64(NO_ROOM)
    return np.int64(key_at)


@nb.njit(**_options)
def scan(data, start, end, table, row, keys, key_at, others):
    """Find the series of the framed messages in ``data[start:end]``.

    :param table: int64 (rows, COLUMNS), filled from `row` on.
    :param keys: uint8, filled from `key_at` on.
    :param others: int64 (rows, OTHER_COLUMNS), filled from 0 on with what is not a series.
    :returns: next row, next position in `keys`, number of others; the first is negative (MALFORMED, NO_ROOM)
        on failure.
    """
    count = 0
    at = start
    while at < end:
        if end - at < 5 or data[at] != 0:
            return np.int64(MALFORMED), key_at, count
        length = (
            (np.int64(data[at + 1]) << 24)
            | (np.int64(data[at + 2]) << 16)
            | (np.int64(data[at + 3]) << 8)
            | np.int64(data[at + 4])
        )
        at += 5
        message, message_end = at, at + length
        if message_end > end:
            return np.int64(MALFORMED), key_at, count
        seen = False
        while at < message_end:
            entry = at
            tag, at = _varint(data, at, message_end)
            if at < 0:
                return np.int64(MALFORMED), key_at, count
            if tag & 7 != 2:
                at = _skip(data, at, message_end, tag & 7)
                if at < 0:
                    return np.int64(MALFORMED), key_at, count
                continue
            body, behind = _span(data, at, message_end)
            if body < 0:
                return np.int64(MALFORMED), key_at, count
            if tag == 0x0A:
                seen = True
                if row >= table.shape[0]:
                    return np.int64(NO_ROOM), key_at, count
                key_end = _series_key(data, body, behind, keys, key_at)
                if key_end < 0:
                    return key_end, key_at, count
                table[row, 0] = entry
                table[row, 1] = behind
                table[row, 2] = body
                table[row, 3] = key_at
                table[row, 4] = key_end
                key_at = key_end
                row += 1
            elif tag == 0x22:
                seen = True
                inner = body
                while inner < behind:
                    entry = inner
                    field, inner = _varint(data, inner, behind)
                    if inner < 0:
                        return np.int64(MALFORMED), key_at, count
                    if field != 0x0A:
                        inner = _skip(data, inner, behind, field & 7)
                        if inner < 0:
                            return np.int64(MALFORMED), key_at, count
                        continue
                    first, last = _span(data, inner, behind)
                    if first < 0:
                        return np.int64(MALFORMED), key_at, count
                    if row >= table.shape[0]:
                        return np.int64(NO_ROOM), key_at, count
                    key_end = _series_key(data, first, last, keys, key_at)
                    if key_end < 0:
                        return key_end, key_at, count
                    table[row, 0] = entry
                    table[row, 1] = last
                    table[row, 2] = first
                    table[row, 3] = key_at
                    table[row, 4] = key_end
                    key_at = key_end
                    row += 1
                    inner = last
            elif tag == 0x12 or tag == 0x1A:
                seen = True
                if count >= others.shape[0]:
                    return np.int64(NO_ROOM), key_at, count
                others[count, 0] = tag >> 3
                others[count, 1] = body if tag == 0x12 else message
                others[count, 2] = behind if tag == 0x12 else message_end
                count += 1
            at = behind
        if not seen and message_end > message:
            if count >= others.shape[0]:
                return np.int64(NO_ROOM), key_at, count
            others[count, 0] = 0
            others[count, 1] = message
            others[count, 2] = message_end
            count += 1
        at = message_end
    return np.int64(row), key_at, count


@nb.njit(inline="always", **_options)
def _compare(keys, a_start, a_end, b_start, b_end):
    """Negative, 0 or positive as bytes compare, shorter first."""
    size = min(a_end - a_start, b_end - b_start)
    for offset in range(size):
        left, right = keys[a_start + offset], keys[b_start + offset]
        if left != right:
            return np.int64(left) - np.int64(right)
    return np.int64(a_end - a_start) - np.int64(b_end - b_start)


@nb.njit(inline="always", **_options)
def _compare_rows(table, keys, a, b):
    return _compare(keys, table[a, 3], table[a, 4], table[b, 3], table[b, 4])


@nb.njit(**_options)
def first_unsorted(table, keys, row, end):
    """The first row in ``[row + 1, end)`` whose key is smaller than that of the row before; -1 if none."""
    for current in range(row + 1, end):
        if _compare_rows(table, keys, current, current - 1) < 0:
            return np.int64(current)
    return np.int64(-1)


@nb.njit(**_options)
def merge(table, keys, cursors, ends, final, heap, order, held):
    """Merge the rows of several sources in key order, until a source needs its next block.

    :param cursors: int64 (sources,), the next row of each; moved on.
    :param ends: int64 (sources,), behind the last row of each.
    :param final: bool (sources,), whether a source has nothing after `ends`.
    :param heap: int64 (sources,), scratch.
    :param order: int64, filled from `held` on with rows; the first `held` are there already.
    :returns: rows in `order`, and the source that needs a block; -1 when all are done, -2 when `order` is
        full.
    """
    size = 0
    for source in range(cursors.size):
        if cursors[source] < ends[source]:
            at = size
            size += 1
            while at > 0:
                parent = (at - 1) >> 1
                other = heap[parent]
                difference = _compare_rows(table, keys, cursors[source], cursors[other])
                if difference > 0 or (difference == 0 and source > other):
                    break
                heap[at] = other
                at = parent
            heap[at] = source
        elif not final[source]:
            return held, np.int64(source)
    while size > 0:
        if held >= order.size:
            return held, np.int64(-2)
        source = heap[0]
        order[held] = cursors[source]
        held += 1
        cursors[source] += 1
        if cursors[source] >= ends[source]:
            if not final[source]:
                return held, np.int64(source)
            size -= 1
            source = heap[size]
            if size == 0:
                break
        at = 0
        while True:
            child = 2 * at + 1
            if child >= size:
                break
            if child + 1 < size:
                difference = _compare_rows(table, keys, cursors[heap[child + 1]], cursors[heap[child]])
                if difference < 0 or (difference == 0 and heap[child + 1] < heap[child]):
                    child += 1
            difference = _compare_rows(table, keys, cursors[heap[child]], cursors[source])
            if difference > 0 or (difference == 0 and heap[child] > source):
                break
            heap[at] = heap[child]
            at = child
        heap[at] = source
    return held, np.int64(-1)


@nb.njit(**_options)
def groups(table, keys, order, count, starts):
    """Where runs of equal keys begin in ``order[:count]``; returns how many there are.

    :param starts: int64, longer than `count`: behind the last group stands `count`.
    """
    found = 0
    for position in range(count):
        if position == 0 or _compare_rows(table, keys, order[position], order[position - 1]) != 0:
            starts[found] = position
            found += 1
    starts[found] = count
    return found


@nb.njit(inline="always", **_options)
def _varint_size(value):
    size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


@nb.njit(inline="always", **_options)
def _write_varint(out, at, value):
    while value >= 0x80:
        out[at] = np.uint8((value & 0x7F) | 0x80)
        value >>= 7
        at += 1
    out[at] = np.uint8(value)
    return at + 1


@nb.njit(inline="always", **_options)
def _copy(out, at, data, start, end):
    out[at : at + end - start] = data[start:end]
    return at + end - start


@nb.njit(**_options)
def _find_chunks(data, start, end, chunks, count):
    """Rows (min_time, max_time, entry start, entry end, body start) of a Series' chunks, from `count` on."""
    at = start
    while at < end:
        entry = at
        tag, at = _varint(data, at, end)
        if at < 0:
            return np.int64(MALFORMED)
        if tag != 0x12:
            at = _skip(data, at, end, tag & 7)
            if at < 0:
                return np.int64(MALFORMED)
            continue
        body, behind = _span(data, at, end)
        if body < 0:
            return np.int64(MALFORMED)
        if count >= chunks.shape[0]:
            return np.int64(NO_ROOM)
        chunks[count, 0] = 0
        chunks[count, 1] = 0
        at = body
        while at < behind:
            field, at = _varint(data, at, behind)
            if at < 0:
                return np.int64(MALFORMED)
            if field == 0x08 or field == 0x10:
                value, at = _varint(data, at, behind)
                chunks[count, 0 if field == 0x08 else 1] = value
            else:
                at = _skip(data, at, behind, field & 7)
            if at < 0:
                return np.int64(MALFORMED)
        chunks[count, 2] = entry
        chunks[count, 3] = behind
        chunks[count, 4] = body
        count += 1
        at = behind
    return np.int64(count)


@nb.njit(**_options)
def _chunk_data(data, start, end, wanted):
    """Start and end of the data of one member (3 raw to 8 counter) of an AggrChunk; (-1, -1) if absent."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        if tag == (wanted << 3 | 2):
            inner, inner_end = _span(data, at, end)
            while inner < inner_end:
                field, inner = _varint(data, inner, inner_end)
                if field == 0x12:
                    return _span(data, inner, inner_end)
                inner = _skip(data, inner, inner_end, field & 7)
                if inner < 0:
                    break
            return np.int64(0), np.int64(0)  # there, and empty
        at = _skip(data, at, end, tag & 7)
        if at < 0:
            break
    return np.int64(-1), np.int64(-1)


@nb.njit(**_options)
def _compare_chunks(data, chunks, a, b):
    """By min_time, max_time, then the data of each member in turn."""
    for column in range(2):
        if chunks[a, column] != chunks[b, column]:
            return np.int64(-1 if chunks[a, column] < chunks[b, column] else 1)
    for member in range(3, 9):
        a_start, a_end = _chunk_data(data, chunks[a, 4], chunks[a, 3], member)
        b_start, b_end = _chunk_data(data, chunks[b, 4], chunks[b, 3], member)
        if a_start < 0 and b_start < 0:
            continue
        if a_start < 0 or b_start < 0:
            return np.int64(1 if a_start < 0 else -1)
        difference = _compare(data, a_start, a_end, b_start, b_end)
        if difference != 0:
            return difference
    return np.int64(0)


@nb.njit(**_options)
def _sort_chunks(data, chunks, picked, scratch, count):
    """Sort ``picked[:count]``, positions in `chunks`; stable, by merging runs of growing length."""
    width = 1
    while width < count:
        for left in range(0, count, 2 * width):
            middle = min(left + width, count)
            right = min(left + 2 * width, count)
            i, j = left, middle
            for at in range(left, right):
                if i < middle and (j >= right or _compare_chunks(data, chunks, picked[i], picked[j]) <= 0):
                    scratch[at] = picked[i]
                    i += 1
                else:
                    scratch[at] = picked[j]
                    j += 1
        picked[:count] = scratch[:count]
        width *= 2


@nb.njit(**_options)
def _write_group(data, table, rows, out, at, chunks, picked, scratch):
    """Write one series made of the equal ones in `rows`, each chunk once, in order of time.

    What is not a chunk (labels, unknown fields) is the first series'.
    """
    count = np.int64(0)
    for row in rows:
        count = _find_chunks(data, table[row, 2], table[row, 1], chunks, count)
        if count < 0:
            return count
    for position in range(count):
        picked[position] = position
    _sort_chunks(data, chunks, picked, scratch, count)
    kept = 0
    for position in range(count):
        if kept == 0 or _compare_chunks(data, chunks, picked[kept - 1], picked[position]) != 0:
            picked[kept] = picked[position]
            kept += 1
    first = rows[0]
    body, end = table[first, 2], table[first, 1]
    # The length goes in front: what is left out of the first series is exactly its chunks.
    length = end - body
    for position in range(count):
        if chunks[position, 2] >= body and chunks[position, 3] <= end:
            length -= chunks[position, 3] - chunks[position, 2]
    for position in range(kept):
        length += chunks[picked[position], 3] - chunks[picked[position], 2]
    if at + 11 + length > out.size:
        return np.int64(NO_ROOM)
    out[at] = 0x0A
    at = _write_varint(out, at + 1, length)
    position = body
    for chunk in range(count):
        if chunks[chunk, 2] >= body and chunks[chunk, 3] <= end:
            at = _copy(out, at, data, position, chunks[chunk, 2])
            position = chunks[chunk, 3]
    at = _copy(out, at, data, position, end)
    for chunk in range(kept):
        at = _copy(out, at, data, chunks[picked[chunk], 2], chunks[picked[chunk], 3])
    return np.int64(at)


@nb.njit(**_options)
def write(data, table, order, starts, first, last, batch, out, chunks, picked, scratch):
    """Write the groups ``[first, last)`` as framed SeriesResponse messages.

    :param starts: where each group begins in `order`, as `groups` writes it.
    :param batch: series to a message; below 2: one series a message, without the batch around it.
    :param out: uint8.
    :param chunks: int64 (rows, 5), scratch; `picked` and `scratch` as long.
    :returns: bytes written, groups written (fewer when `out` is full), and 0 or a negative code: MALFORMED,
        or NO_ROOM when a group does not fit into an empty `out` or into `chunks`.
    """
    at = np.int64(0)
    group = first
    while group < last:
        begin = at
        in_message = 0
        limit = max(batch, 1)
        # 5 bytes of prefix, and for a batch 1 of tag and up to 5 of length.
        gap = 5 if batch < 2 else 11
        position = at + gap
        while group < last and in_message < limit:
            from_ = starts[group]
            to = starts[group + 1]
            if to - from_ == 1:
                row = order[from_]
                size = table[row, 1] - table[row, 0]
                behind = (
                    _copy(out, position, data, table[row, 0], table[row, 1])
                    if position + size <= out.size
                    else np.int64(NO_ROOM)
                )
            else:
                behind = np.int64(NO_ROOM)
                if position < out.size:
                    behind = _write_group(
                        data, table, order[from_:to], out, position, chunks, picked, scratch
                    )
            if behind == MALFORMED:
                return at, group - first, np.int64(MALFORMED)
            if behind < 0:
                break
            position = behind
            in_message += 1
            group += 1
        if in_message == 0:
            return at, group - first, np.int64(NO_ROOM if at == 0 else 0)
        content = position - begin - gap
        header = begin + 5
        if batch >= 2:
            out[header] = 0x22
            header = _write_varint(out, header + 1, content)
            if header != begin + gap:
                # One byte at a time, forwards: the ranges overlap.
                for offset in range(content):
                    out[header + offset] = out[begin + gap + offset]
        at = header + content
        length = at - begin - 5
        out[begin] = 0
        out[begin + 1] = (length >> 24) & 0xFF
        out[begin + 2] = (length >> 16) & 0xFF
        out[begin + 3] = (length >> 8) & 0xFF
        out[begin + 4] = length & 0xFF
    return at, group - first, np.int64(0)
