"""Downsampled chunks: one aggregate of each, or the average."""

import numpy as np

from app.engine.kernels.penalty import remove_resets
from app.engine.kernels.tables import (
    AVERAGE,
    COUNT,
    COUNTER,
    FARTHEST,
    MALFORMED,
    MEMBER_END,
    MEMBER_START,
    MEMBER_TYPE,
    NOT_FLOATS,
    PLAIN,
    RAW,
    SUM,
)
from app.engine.kernels.xor import decode_chunk, sample_count
from app.kernels.jit import kernel
from app.kernels.walk import skip, span, tag, varint


@kernel
def find_members(data, at, length, members):
    """Where the members of an AggrChunk{1 min_time, 2 max_time, 3..8 Chunk{1 type, 2 data, 3 hash}} are.

    :param members: int64 (MEMBERS, 3), a row for each field number, filled.
    :returns: 0 or MALFORMED.
    """
    members[:, MEMBER_TYPE] = -1
    end = at + length
    while at < end:
        field, at = tag(data, at, end)
        if at < 0:
            return np.int64(MALFORMED)
        if field & 7 != 2 or not 0x1A <= field <= 0x42:
            at = skip(data, at, end, field & 7)
            if at < 0:
                return np.int64(MALFORMED)
            continue
        at, behind = span(data, at, end)
        if at < 0:
            return np.int64(MALFORMED)
        member = members[field >> 3]
        member[MEMBER_TYPE] = 0
        member[MEMBER_START] = member[MEMBER_END] = behind
        while at < behind:
            inner, at = tag(data, at, behind)
            if at < 0:
                return np.int64(MALFORMED)
            if inner == 0x08:
                member[MEMBER_TYPE], at = varint(data, at, behind)
            elif inner == 0x12:
                member[MEMBER_START], at = span(data, at, behind)
                member[MEMBER_END] = at
            else:
                at = skip(data, at, behind, inner & 7)
            if at < 0 or member[MEMBER_TYPE] < 0:
                return np.int64(MALFORMED)
    return np.int64(0)


@kernel
def count_aggregates(data, kind, offset, length, members):
    """How many samples some chunks may have at most; NOT_FLOATS where there are histograms among them.

    :param kind, offset, length: int64 (chunks,).
    """
    total = np.int64(0)
    for chunk in range(kind.size):
        if kind[chunk] == PLAIN:
            largest = sample_count(data, offset[chunk], length[chunk])
        else:
            largest = find_members(data, offset[chunk], length[chunk], members)
            for member in members:
                if largest < 0 or member[MEMBER_TYPE] < 0:
                    continue
                if member[MEMBER_TYPE] != 0:
                    return np.int64(NOT_FLOATS)
                found = sample_count(data, member[MEMBER_START], member[MEMBER_END] - member[MEMBER_START])
                largest = found if found < 0 else max(largest, found)
        if largest < 0:
            return np.int64(MALFORMED)
        total += largest
    return total


@kernel
def _average(data, members, last, end, times, values, out, spare_times, spare_values):
    """Write sums divided by counts; the position behind them, or a negative code, and the last time."""
    bits, spare_bits = values.view(np.uint64), spare_values.view(np.uint64)
    sums, counts = members[SUM], members[COUNT]
    if sums[MEMBER_TYPE] < 0 or counts[MEMBER_TYPE] < 0:
        return np.int64(MALFORMED), last
    size = counts[MEMBER_END] - counts[MEMBER_START]
    found, _ = decode_chunk(data, counts[MEMBER_START], size, last, end, False, spare_times, spare_bits, 0)
    size = sums[MEMBER_END] - sums[MEMBER_START]
    behind, last = decode_chunk(data, sums[MEMBER_START], size, last, end, False, times, bits, out)
    if found < 0 or behind < 0 or behind - out != found:
        return np.int64(MALFORMED), last
    for position in range(found):
        if times[out + position] != spare_times[position]:
            return np.int64(MALFORMED), last
        count = spare_values[position]
        values[out + position] = values[out + position] / count if count != 0 else np.nan
    return behind, last


@kernel
def decode_aggregates(
    data, kind, offset, length, wanted, start, end, members, times, values, spare_times, spare_values
):  # fmt: skip
    """Write the samples of one lane that lie in ``[start, end]``; raw ones where a chunk has them.

    :param wanted: COUNT, SUM, MIN, MAX, COUNTER or AVERAGE. Counters become running totals.
    :param times, values: with room for as many samples as `count_aggregates` says, as the spare ones.
    :returns: how many there are, or a negative code.
    """
    bits = values.view(np.uint64)
    first = max(start, np.int64(-FARTHEST))
    last, end = first - 1, min(end, np.int64(FARTHEST))
    out, totals = np.int64(0), False
    for chunk in range(kind.size):
        if last >= end:
            break
        if kind[chunk] == PLAIN:
            out, last = decode_chunk(data, offset[chunk], length[chunk], last, end, False, times, bits, out)
        elif find_members(data, offset[chunk], length[chunk], members) < 0:
            return np.int64(MALFORMED)
        elif wanted == AVERAGE and members[RAW, MEMBER_TYPE] < 0:
            out, last = _average(data, members, last, end, times, values, out, spare_times, spare_values)
        else:
            member = members[RAW] if members[RAW, MEMBER_TYPE] >= 0 else members[wanted]
            if member[MEMBER_TYPE] < 0:
                return np.int64(MALFORMED)
            repeated = wanted == COUNTER
            totals = totals or repeated
            size = member[MEMBER_END] - member[MEMBER_START]
            after = max(last, first) if repeated else last
            out, last = decode_chunk(data, member[MEMBER_START], size, after, end, repeated, times, bits, out)
        if out < 0:
            return np.int64(out)
    return np.int64(remove_resets(times, values, out)) if totals else out
