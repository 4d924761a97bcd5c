"""From framed messages to the table of series. Everything that other kernels read is checked here."""

import numpy as np

from app.fanout.kernels.tables import MALFORMED, NO_ROOM
from app.kernels.jit import inlined, kernel
from app.kernels.keys import write_key_part
from app.kernels.walk import copy, skip, span, tag, varint_size, write_prefix, write_varint

PREFIX = 5


@inlined
def _well_formed(data, at, end):
    """Whether these bytes are fields, whatever they mean."""
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            break
        at = skip(data, at, end, field & 7)
        if at < 0:
            break
    return at == end


@kernel
def _chunk_fits(data, at, end):
    """Whether these bytes are an AggrChunk, down to the fields of its members."""
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            return False
        if field & 7 == 2 and 0x1A <= field <= 0x42:
            at, behind = span(data, at, end)
            if at < 0 or not _well_formed(data, at, behind):
                return False
            at = behind
        else:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return False
    return True


@kernel
def _label(data, at, end):
    """Start and end of a Label's name and of its value; the first is negative when malformed."""
    name_start = name_end = value_start = value_end = np.int64(0)
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED), name_end, value_start, value_end
        if field == 0x0A or field == 0x12:
            start, behind = span(data, at, end)
            if start < 0:
                return np.int64(MALFORMED), name_end, value_start, value_end
            if field == 0x0A:
                name_start, name_end = start, behind
            else:
                value_start, value_end = start, behind
            at = behind
        else:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return np.int64(MALFORMED), name_end, value_start, value_end
    return name_start, name_end, value_start, value_end


@kernel
def _series_key(data, at, end, keys, key_at):
    """Write the merge key of a Series message; returns the key's end, or a negative code."""
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED)
        if field == 0x0A:
            at, label_end = span(data, at, end)
            if at < 0:
                return np.int64(MALFORMED)
            name_start, name_end, value_start, value_end = _label(data, at, label_end)
            if name_start < 0:
                return np.int64(MALFORMED)
            key_at = write_key_part(data, name_start, name_end, keys, key_at)
            if key_at < 0:
                return np.int64(NO_ROOM)
            key_at = write_key_part(data, value_start, value_end, keys, key_at)
            if key_at < 0:
                return np.int64(NO_ROOM)
            at = label_end
        elif field == 0x12:
            at, behind = span(data, at, end)
            if at < 0 or not _chunk_fits(data, at, behind):
                return np.int64(MALFORMED)
            at = behind
        else:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return np.int64(MALFORMED)
    return np.int64(key_at)


@inlined
def _add_series(data, entry, body, behind, table, row, keys, key_at):
    """Fill a row; returns the end of its key, or a negative code."""
    if row >= table.shape[0]:
        return np.int64(NO_ROOM)
    key_end = _series_key(data, body, behind, keys, key_at) if keys.size else np.int64(key_at)
    table[row, 0] = entry
    table[row, 1] = behind
    table[row, 2] = body
    table[row, 3] = key_at
    table[row, 4] = key_end
    return key_end


@kernel
def _scan_batch(data, at, end, table, row, keys, key_at):
    """Find the series of a SeriesBatch; returns the next row, negative on failure, and key position."""
    while at < end:
        entry = at
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED), key_at
        if field != 0x0A:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return np.int64(MALFORMED), key_at
            continue
        body, at = span(data, at, end)
        if body < 0:
            return np.int64(MALFORMED), key_at
        key_end = _add_series(data, entry, body, at, table, row, keys, key_at)
        if key_end < 0:
            return key_end, key_at
        key_at = key_end
        row += 1
    return np.int64(row), key_at


@kernel
def _scan_message(data, at, end, table, row, keys, key_at, others, count):
    """Find what is in one SeriesResponse; returns as `scan` does."""
    message, seen = at, at == end
    while at < end:
        entry = at
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED), key_at, count
        if field & 7 != 2:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return np.int64(MALFORMED), key_at, count
            continue
        body, at = span(data, at, end)
        if body < 0:
            return np.int64(MALFORMED), key_at, count
        if field == 0x0A:
            seen = True
            key_end = _add_series(data, entry, body, at, table, row, keys, key_at)
            if key_end < 0:
                return key_end, key_at, count
            key_at = key_end
            row += 1
        elif field == 0x22:
            seen = True
            row, key_at = _scan_batch(data, body, at, table, row, keys, key_at)
            if row < 0:
                return row, key_at, count
        elif field == 0x12 or field == 0x1A:
            seen = True
            if count >= others.shape[0]:
                return np.int64(NO_ROOM), key_at, count
            others[count, 0] = field >> 3
            others[count, 1] = body if field == 0x12 else entry
            others[count, 2] = at
            count += 1
    if not seen:
        if count >= others.shape[0]:
            return np.int64(NO_ROOM), key_at, count
        others[count, 0] = 0
        others[count, 1] = message
        others[count, 2] = end
        count += 1
    return np.int64(row), key_at, count


@kernel
def scan(data, start, end, table, row, keys, key_at, others):
    """Find the series of the framed messages in ``data[start:end]``.

    :param table: int64 (rows, COLUMNS), filled from `row` on.
    :param keys: uint8, filled from `key_at` on. Of size 0: no keys are made, and what is inside the series is
        not looked at.
    :param others: int64 (rows, OTHER_COLUMNS), filled from 0 on with what is not a series.
    :returns: next row, next position in `keys`, number of others; the first is negative (MALFORMED, NO_ROOM)
        on failure.
    """
    count = np.int64(0)
    at = start
    while at < end:
        if end - at < PREFIX or data[at] != 0:
            return np.int64(MALFORMED), key_at, count
        length = np.int64(0)
        for offset in range(1, PREFIX):
            length = (length << 8) | np.int64(data[at + offset])
        at += PREFIX
        if length > end - at:
            return np.int64(MALFORMED), key_at, count
        row, key_at, count = _scan_message(data, at, at + length, table, row, keys, key_at, others, count)
        if row < 0:
            return row, key_at, count
        at += length
    return np.int64(row), key_at, count


@kernel
def _is_one_of(data, start, end, names, bounds):
    """Whether a string is one of those that stand in `names`, the n-th up to ``bounds[n]``."""
    begin = np.int64(0)
    for position in range(bounds.size):
        behind = bounds[position]
        if behind - begin == end - start:
            same = True
            for offset in range(end - start):
                if data[start + offset] != names[begin + offset]:
                    same = False
                    break
            if same:
                return True
        begin = behind
    return False


@kernel
def strip(data, table, first, last, names, bounds, out):
    """Write series without some of their labels, one framed SeriesResponse each.

    :param names: uint8, the names of the labels that go, end to end; `bounds`: int64, where each ends.
    :param out: uint8; as long as the entries and 16 bytes more for each row.
    :returns: bytes written.
    """
    written = np.int64(0)
    for row in range(first, last):
        body, end = table[row, 2], table[row, 1]
        # Room for the prefix, the tag and a length that is at most what it was.
        start = written + PREFIX + 1 + varint_size(end - body)
        at, position = start, body
        while position < end:
            entry = position
            field, position = tag(data, position, end)
            if field == 0x0A:
                inner, position = span(data, position, end)
                name_start, name_end, _, _ = _label(data, inner, position)
                if _is_one_of(data, name_start, name_end, names, bounds):
                    continue
            else:
                position = skip(data, position, end, field & 7)
            at = copy(out, at, data, entry, position)
        size = at - start
        header = written + PREFIX
        out[header] = 0x0A
        header = write_varint(out, header + 1, size)
        for offset in range(size if header != start else 0):
            out[header + offset] = out[start + offset]
        write_prefix(out, written, header + size - written - PREFIX)
        written = header + size
    return written
