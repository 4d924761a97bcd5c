"""From the frames of a remote read to rows of series, labels and chunks. Every bound is checked here.

Source of the format: Prometheus, storage/remote (chunked remote read): a frame is a varint length, four bytes
of CRC32C, big-endian, and a ChunkedReadResponse{1 chunked_series{1 labels{1 name, 2 value}, 2 chunks{
1 min_time, 2 max_time, 3 type, 4 data}}, 2 query_index}.
"""

import numpy as np

from app.kernels.jit import inlined, kernel
from app.kernels.keys import write_key_part
from app.kernels.walk import skip, span, tag, varint, varint_size
from app.kernels.xxh64 import xxh64
from app.sidecar.kernels.tables import MALFORMED, NO_ROOM, TOO_LARGE, UNKNOWN_ENCODING

# Prometheus numbers its encodings from 1, the StoreAPI from 0: XOR, histogram, float histogram.
KNOWN_ENCODINGS = 3


@kernel
def frames(data, at, end, limit, table):
    """Rows of the whole frames in ``data[at:end]``.

    :param limit: bytes of one message.
    :returns: how many, the position behind the last one, and 0 or a negative code.
    """
    count = 0
    while count < table.shape[0]:
        # A length takes at most five bytes, or is too large anyway.
        size, position = varint(data, at, min(end, at + 5))
        if position < 0:
            return count, np.int64(at), np.int64(TOO_LARGE if end - at >= 5 else 0)
        if size > limit:
            return count, np.int64(at), np.int64(TOO_LARGE)
        if position + 4 + size > end:
            break
        checksum = np.int64(0)
        for offset in range(4):
            checksum = checksum << 8 | np.int64(data[position + offset])
        table[count, 0] = at
        table[count, 1] = position + 4
        table[count, 2] = position + 4 + size
        table[count, 3] = checksum
        at = position + 4 + size
        count += 1
    return count, np.int64(at), np.int64(0)


@inlined
def _time_size(value):
    """Bytes of an int64 field with its tag; nothing for 0."""
    if value == 0:
        return 0
    return 11 if value < 0 else 1 + varint_size(value)


@inlined
def _hash_size(value):
    size = 2
    while value >= np.uint64(0x80):
        value >>= np.uint64(7)
        size += 1
    return size


@kernel
def _chunk(data, at, end, row):
    """Fill a row of the chunk table; 0, or a negative code, with the encoding where that is not known."""
    row[:] = 0
    encoding = np.int64(0)
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED), encoding
        if field == 0x08 or field == 0x10 or field == 0x18:
            value, at = varint(data, at, end)
            if field == 0x18:
                encoding = value
            else:
                row[0 if field == 0x08 else 1] = value
        elif field == 0x22:
            row[3], row[4] = span(data, at, end)
            at = row[4]
        else:
            at = skip(data, at, end, field & 7)
        if at < 0:
            return np.int64(MALFORMED), encoding
    if encoding < 1 or encoding > KNOWN_ENCODINGS:
        return np.int64(UNKNOWN_ENCODING), encoding
    row[2] = encoding - 1
    digest = xxh64(data, row[3], row[4])
    row[5] = np.int64(digest)
    length = row[4] - row[3]
    content = 1 + varint_size(length) + length + _hash_size(digest)
    if row[2] != 0:
        content += 2
    whole = _time_size(row[0]) + _time_size(row[1]) + 1 + varint_size(content) + content
    row[6] = 1 + varint_size(whole) + whole
    return np.int64(0), encoding


@kernel
def _label(data, at, end, row):
    """Fill a row of the label table; False when malformed."""
    row[0] = row[1] = row[2] = row[3] = at
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            return False
        if field == 0x0A or field == 0x12:
            start, behind = span(data, at, end)
            if start < 0:
                return False
            column = 0 if field == 0x0A else 2
            row[column], row[column + 1] = start, behind
            at = behind
        else:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return False
    return True


@inlined
def _compare_names(data, a, b):
    size = min(a[1] - a[0], b[1] - b[0])
    for offset in range(size):
        if data[a[0] + offset] != data[b[0] + offset]:
            return np.int64(data[a[0] + offset]) - np.int64(data[b[0] + offset])
    return (a[1] - a[0]) - (b[1] - b[0])


@inlined
def _label_size(row):
    name, value = row[1] - row[0], row[3] - row[2]
    content = 1 + varint_size(name) + name + 1 + varint_size(value) + value
    return 1 + varint_size(content) + content


@kernel
def _decide(data, decided, labels, first, last, target):
    """Labels as they go out: those that came, less the decided names, with the added ones in their places.

    :returns: behind the last row written from `target` on.
    """
    at, position = target, 0
    for row in range(first, last):
        difference = np.int64(-1)
        while position < decided.shape[0]:
            difference = _compare_names(data, labels[row], decided[position])
            if difference <= 0:
                break
            if decided[position, 4] == 1:
                labels[at] = decided[position, :4]
                at += 1
            position += 1
        if position == decided.shape[0] or difference != 0:
            labels[at] = labels[row]
            at += 1
    while position < decided.shape[0]:
        if decided[position, 4] == 1:
            labels[at] = decided[position, :4]
            at += 1
        position += 1
    return np.int64(at)


@kernel
def _series(data, at, end, decided, labels, label_at, chunks, chunk_at, keys, key_at, row):
    """Fill a row of the series table from a ChunkedSeries; 0 or a negative code, and an encoding."""
    row[:] = 0
    row[0] = row[1] = row[10] = at
    row[11] = end
    row[4] = chunk_at
    came = label_at
    while at < end:
        entry = at
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED), np.int64(0)
        if field != 0x0A and field != 0x12:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return np.int64(MALFORMED), np.int64(0)
            continue
        start, behind = span(data, at, end)
        if start < 0:
            return np.int64(MALFORMED), np.int64(0)
        if field == 0x0A:
            # As many again may be needed for what goes out.
            if came + 1 >= labels.shape[0] or not _label(data, start, behind, labels[came]):
                return np.int64(NO_ROOM if came + 1 >= labels.shape[0] else MALFORMED), np.int64(0)
            came += 1
            if entry == row[1]:
                row[1] = behind  # the labels that stand together at the front
        else:
            if chunk_at >= chunks.shape[0]:
                return np.int64(NO_ROOM), np.int64(0)
            code, encoding = _chunk(data, start, behind, chunks[chunk_at])
            if code < 0:
                return code, encoding
            row[9] += chunks[chunk_at, 6]
            chunk_at += 1
        at = behind
    row[5] = chunk_at
    if came + (came - label_at) + decided.shape[0] > labels.shape[0]:
        return np.int64(NO_ROOM), np.int64(0)
    row[2] = came
    row[3] = _decide(data, decided, labels, label_at, came, came)
    row[6] = key_at
    for label in range(row[2], row[3]):
        row[8] += _label_size(labels[label])
        key_at = write_key_part(data, labels[label, 0], labels[label, 1], keys, key_at)
        if key_at >= 0:
            key_at = write_key_part(data, labels[label, 2], labels[label, 3], keys, key_at)
        if key_at < 0:
            return np.int64(NO_ROOM), np.int64(0)
    row[7] = key_at
    return np.int64(0), np.int64(0)


@kernel
def read(data, table, first, last, decided, series, labels, chunks, keys):
    """Rows of the series in the frames ``table[first:last]``.

    :param decided: int64 (names, DECIDED_COLUMNS), sorted by name.
    :returns: how many series, 0 or a negative code, and the encoding that is not known.
    """
    count = 0
    label_at = chunk_at = key_at = np.int64(0)
    for frame in range(first, last):
        at, end = table[frame, 1], table[frame, 2]
        while at < end:
            field, at = tag(data, at, end)
            if at < 0:
                return count, np.int64(MALFORMED), np.int64(0)
            if field != 0x0A:
                at = skip(data, at, end, field & 7)
                if at < 0:
                    return count, np.int64(MALFORMED), np.int64(0)
                continue
            start, behind = span(data, at, end)
            if start < 0:
                return count, np.int64(MALFORMED), np.int64(0)
            if count >= series.shape[0]:
                return count, np.int64(NO_ROOM), np.int64(0)
            code, encoding = _series(
                data, start, behind, decided, labels, label_at, chunks, chunk_at, keys, key_at, series[count]
            )
            if code < 0:
                return count, code, encoding
            label_at, chunk_at, key_at = series[count, 3], series[count, 5], series[count, 7]
            count += 1
            at = behind
    return count, np.int64(0), np.int64(0)


@kernel
def in_shard(data, series, count, labels, named, by, shards, index, scratch, wanted):
    """Which series belong to a shard: the hash of the labels that are named (`by`), or of the others, modulo
    `shards` is `index`.

    :param named: int64 (names, LABEL_COLUMNS).
    :param scratch: uint8, room for the labels of any one series.
    :param wanted: bool (series,), written.
    """
    for row in range(count):
        at = 0
        for label in range(series[row, 2], series[row, 3]):
            found = False
            for name in range(named.shape[0]):
                if _compare_names(data, labels[label], named[name]) == 0:
                    found = True
            if found != by:
                continue
            for part in range(2):
                for position in range(labels[label, 2 * part], labels[label, 2 * part + 1]):
                    scratch[at] = data[position]
                    at += 1
                scratch[at] = 0xFF
                at += 1
        wanted[row] = np.int64(xxh64(scratch, 0, at) % np.uint64(shards)) == index
