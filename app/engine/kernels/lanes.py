"""Chunks of equal series put together, and told apart by replica: into lanes without overlap.

Source of the rule: Thanos, pkg/dedup/iter.go, NewOverlapSplit: by time, each chunk goes to the first lane
whose last one ends before it begins.
"""

import numpy as np

from app.engine.kernels.tables import CANCELLED, KIND, LENGTH, MAX_TIME, MIN_TIME, START
from app.kernels.jit import inlined, kernel
from app.kernels.keys import compare


@inlined
def _compare(data, chunks, a, b):
    """By time of beginning and end, then by what is in them."""
    if chunks[a, MIN_TIME] != chunks[b, MIN_TIME]:
        return np.int64(-1 if chunks[a, MIN_TIME] < chunks[b, MIN_TIME] else 1)
    if chunks[a, MAX_TIME] != chunks[b, MAX_TIME]:
        return np.int64(-1 if chunks[a, MAX_TIME] < chunks[b, MAX_TIME] else 1)
    if chunks[a, KIND] != chunks[b, KIND]:
        return np.int64(chunks[a, KIND] - chunks[b, KIND])
    start_a, start_b = chunks[a, START], chunks[b, START]
    return compare(data, start_a, start_a + chunks[a, LENGTH], start_b, start_b + chunks[b, LENGTH])


@kernel
def _sort(data, chunks, picked, count, scratch):
    """Sort ``picked[:count]``, positions in `chunks`; stable, by merging runs of growing length."""
    width = 1
    while width < count:
        for left in range(0, count, 2 * width):
            middle = min(left + width, count)
            right = min(left + 2 * width, count)
            if middle >= right or _compare(data, chunks, picked[middle - 1], picked[middle]) <= 0:
                continue
            scratch[left:middle] = picked[left:middle]
            i, j = left, middle
            for at in range(left, right):
                if i >= middle:
                    break
                if j >= right or _compare(data, chunks, scratch[i], picked[j]) <= 0:
                    picked[at] = scratch[i]
                    i += 1
                else:
                    picked[at] = picked[j]
                    j += 1
        width *= 2


@kernel
def _collect(data, chunks, chunk_bounds, rows, first, last, picked, scratch):
    """The chunks of some series in their order, each once, in `picked`; returns how many."""
    count = 0
    for position in range(first, last):
        series = rows[position]
        for chunk in range(chunk_bounds[series], chunk_bounds[series + 1]):
            picked[count] = chunk
            count += 1
    _sort(data, chunks, picked, count, scratch)
    kept = 0
    for position in range(count):
        if kept == 0 or _compare(data, chunks, picked[kept - 1], picked[position]) != 0:
            picked[kept] = picked[position]
            kept += 1
    return kept


@kernel
def _assign(chunks, picked, count, lane_of, ends, cancel):
    """The lane of each chunk; returns how many lanes there are, or CANCELLED."""
    used = 0
    for position in range(count):
        if cancel[0]:  # a hostile answer can have very many chunks that all overlap
            return np.int64(CANCELLED)
        begin = chunks[picked[position], MIN_TIME]
        lane = 0
        while lane < used and ends[lane] >= begin:
            lane += 1
        if lane == used:
            used += 1
        ends[lane] = chunks[picked[position], MAX_TIME]
        lane_of[position] = lane
    return np.int64(used)


@kernel
def split(
    data, chunks, chunk_bounds, rows, starts, groups, apart, lanes, lane_bounds, order, picked, scratch,
    lane_of, ends, cancel,
):  # fmt: skip
    """Lanes of all groups of equal series.

    :param data: uint8, the blocks laid end to end; `chunks` and `chunk_bounds` as read from them.
    :param rows, starts: the groups, as `group_series` finds them.
    :param apart: whether overlapping chunks are told apart; if not, each group is one lane.
    :param lanes: int64 (groups + 1,), group `n` gets the lanes ``lanes[n]`` to ``lanes[n + 1]``.
    :param lane_bounds: int64 (chunks + 1,), lane `n` gets the chunks ``lane_bounds[n]`` to
        ``lane_bounds[n + 1]`` of `order`.
    :param order: int64 (chunks,), filled with positions in `chunks`.
    :param picked, scratch, lane_of, ends: int64 (chunks,), scratch.
    :returns: how many chunks there are in `order`, or CANCELLED.
    """
    lane, out = np.int64(0), np.int64(0)
    lanes[0] = lane_bounds[0] = 0
    for group in range(groups):
        if cancel[0]:
            return np.int64(CANCELLED)
        count = _collect(data, chunks, chunk_bounds, rows, starts[group], starts[group + 1], picked, scratch)
        used = np.int64(min(count, 1))
        if apart:
            used = _assign(chunks, picked, count, lane_of, ends, cancel)
            if used < 0:
                return used
        if used == 1:
            order[out : out + count] = picked[:count]
            out += count
            lane_bounds[lane + 1] = out
        else:
            # Counted, then laid out: a lane's place follows from the sizes of those before it.
            sizes = ends
            sizes[:used] = 0
            for position in range(count):
                sizes[lane_of[position]] += 1
            for number in range(used):
                lane_bounds[lane + number + 1] = lane_bounds[lane + number] + sizes[number]
                sizes[number] = lane_bounds[lane + number]
            for position in range(count):
                place = sizes[lane_of[position]]
                order[place] = picked[position]
                sizes[lane_of[position]] = place + 1
            out += count
        lane += used
        lanes[group + 1] = lane
    return out
