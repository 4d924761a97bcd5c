"""Rows put in the order of their keys."""

import numpy as np

from app.kernels.jit import inlined, kernel
from app.kernels.keys import compare


@inlined
def _compare_rows(table, keys, a, b):
    return compare(keys, table[a, 3], table[a, 4], table[b, 3], table[b, 4])


@kernel
def first_unsorted(table, keys, row, end):
    """The first row in ``[row + 1, end)`` whose key is smaller than that of the row before; -1 if none."""
    for current in range(row + 1, end):
        if _compare_rows(table, keys, current, current - 1) < 0:
            return np.int64(current)
    return np.int64(-1)


@kernel
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


@kernel
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


@kernel
def sort(table, keys, rows, scratch, cancel):
    """Sort `rows` by key; stable, by merging runs of growing length.

    :param rows: int64, rows of `table`; `scratch` as long.
    :param cancel: uint8 (1,), not 0 once the order is not wanted any more; it is undefined then.
    """
    count = rows.size
    width = 1
    while width < count:
        for left in range(0, count, 2 * width):
            if cancel[0]:
                return
            middle = min(left + width, count)
            right = min(left + 2 * width, count)
            i, j = left, middle
            for at in range(left, right):
                if i < middle and (j >= right or _compare_rows(table, keys, rows[i], rows[j]) <= 0):
                    scratch[at] = rows[i]
                    i += 1
                else:
                    scratch[at] = rows[j]
                    j += 1
        rows[:] = scratch[:count]
        width *= 2
