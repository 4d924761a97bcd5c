"""Merged rows written as the messages that the client gets."""

import numpy as np

from app.fanout.kernels.tables import MALFORMED, NO_ROOM
from app.kernels.jit import inlined, kernel
from app.kernels.keys import compare
from app.kernels.walk import copy, skip, span, tag, varint, varint_size, write_prefix, write_varint

PREFIX = 5


@kernel
def _find_chunks(data, start, end, chunks, count):
    """Rows (min_time, max_time, entry start, entry end, body start) of a Series' chunks, from `count` on."""
    at = start
    while at < end:
        entry = at
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED)
        if field != 0x12:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return np.int64(MALFORMED)
            continue
        body, behind = span(data, at, end)
        if body < 0:
            return np.int64(MALFORMED)
        if count >= chunks.shape[0]:
            return np.int64(NO_ROOM)
        chunks[count, 0] = 0
        chunks[count, 1] = 0
        at = body
        while at < behind:
            field, at = varint(data, at, behind)
            if at < 0:
                return np.int64(MALFORMED)
            if field == 0x08 or field == 0x10:
                value, at = varint(data, at, behind)
                chunks[count, 0 if field == 0x08 else 1] = value
            else:
                at = skip(data, at, behind, field & 7)
            if at < 0:
                return np.int64(MALFORMED)
        chunks[count, 2] = entry
        chunks[count, 3] = behind
        chunks[count, 4] = body
        count += 1
        at = behind
    return np.int64(count)


@kernel
def _chunk_data(data, start, end, wanted):
    """Start and end of the data of one member (3 raw to 8 counter) of an AggrChunk; (-1, -1) if absent."""
    at = start
    while at < end:
        field, at = tag(data, at, end)
        if field == (wanted << 3 | 2):
            inner, inner_end = span(data, at, end)
            while inner < inner_end:
                field, inner = varint(data, inner, inner_end)
                if field == 0x12:
                    return span(data, inner, inner_end)
                inner = skip(data, inner, inner_end, field & 7)
                if inner < 0:
                    break
            return np.int64(0), np.int64(0)  # there, and empty
        at = skip(data, at, end, field & 7)
        if at < 0:
            break
    return np.int64(-1), np.int64(-1)


@kernel
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
        difference = compare(data, a_start, a_end, b_start, b_end)
        if difference != 0:
            return difference
    return np.int64(0)


@kernel
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


@kernel
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
    at = write_varint(out, at + 1, length)
    position = body
    for chunk in range(count):
        if chunks[chunk, 2] >= body and chunks[chunk, 3] <= end:
            at = copy(out, at, data, position, chunks[chunk, 2])
            position = chunks[chunk, 3]
    at = copy(out, at, data, position, end)
    for chunk in range(kept):
        at = copy(out, at, data, chunks[picked[chunk], 2], chunks[picked[chunk], 3])
    return np.int64(at)


@inlined
def _write_series(data, table, rows, out, at, chunks, picked, scratch):
    """Write one series with its tag and length; the position behind it, or a negative code."""
    if rows.size > 1:
        return _write_group(data, table, rows, out, at, chunks, picked, scratch)
    start, end = table[rows[0], 0], table[rows[0], 1]
    if end - start > out.size - at:
        return np.int64(NO_ROOM)
    return np.int64(copy(out, at, data, start, end))


@inlined
def _largest_content(table, order, starts, group, last):
    """Bytes that these groups take up at most."""
    size = np.int64(0)
    for position in range(starts[group], starts[last]):
        # A group's length may take more bytes than that of any of its members.
        size += table[order[position], 1] - table[order[position], 0] + 5
    return size


@kernel
def write(data, table, order, starts, first, last, batch, out, chunks, picked, scratch):
    """Write the groups ``[first, last)`` as framed SeriesResponse messages.

    :param starts: where each group begins in `order`, as `groups` writes it.
    :param batch: series to a message; below 2: one series a message, without the batch around it. A message
        has fewer when it is the last, or when not so many fit into an empty `out`.
    :param out: uint8.
    :param chunks: int64 (rows, CHUNK_COLUMNS), scratch; `picked` and `scratch` as long.
    :returns: bytes written, groups written (fewer when `out` is full), and 0 or a negative code: MALFORMED,
        or NO_ROOM when a group does not fit into an empty `out` or into `chunks`.
    """
    at = np.int64(0)
    group = first
    while group < last:
        wanted = min(max(batch, 1), last - group)
        gap = PREFIX
        if batch >= 2:
            gap += 1 + varint_size(_largest_content(table, order, starts, group, group + wanted))
        position = at + gap
        done = 0
        while done < wanted and position < out.size:
            rows = order[starts[group + done] : starts[group + done + 1]]
            behind = _write_series(data, table, rows, out, position, chunks, picked, scratch)
            if behind == MALFORMED:
                return at, group - first, np.int64(MALFORMED)
            if behind < 0:
                break
            position = behind
            done += 1
        if done < wanted and (at > 0 or done == 0):
            # What was begun is written again into an empty `out`, so that messages are as full as can be.
            return at, group - first, np.int64(NO_ROOM if at == 0 else 0)
        size = position - at - gap
        header = at + PREFIX
        if batch >= 2:
            out[header] = 0x22
            header = write_varint(out, header + 1, size)
            # Rarely so: equal chunks were left out, and the length takes fewer bytes than there are.
            for offset in range(size if header != at + gap else 0):
                out[header + offset] = out[at + gap + offset]
        write_prefix(out, at, header + size - at - PREFIX)
        at = header + size
        group += done
    return at, group - first, np.int64(0)
