"""Rows of numbers that are equal, found by hashing; and how many of a number there are at each step."""

import numpy as np

from app.kernels.jit import kernel

_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@kernel
def equal_rows(rows, groups, slots):
    """Number the distinct rows in the order of their first appearance; how many there are.

    :param rows: (rows, width) int32.
    :param groups: (rows,) int64, written: the number of each row.
    :param slots: int64 scratch of -1, a power of two at least twice as long as `rows`: representatives.
    """
    mask = np.uint64(slots.size - 1)
    width = rows.shape[1]
    found = 0
    for row in range(rows.shape[0]):
        key = np.uint64(width)
        for column in range(width):
            key = (key ^ np.uint64(rows[row, column])) * _SPREAD
            key ^= key >> np.uint64(32)
        slot = np.int64(key & mask)
        while True:
            other = slots[slot]
            if other < 0:
                slots[slot] = row
                groups[row] = found
                found += 1
                break
            same = True
            for column in range(width):
                if rows[row, column] != rows[other, column]:
                    same = False
                    break
            if same:
                groups[row] = groups[other]
                break
            slot = (slot + 1) & np.int64(mask)
    return found


@kernel
def tally(present, keys, counts, cancel):
    """How many rows of each key have a value at each step: none, one, or 2 for any more.

    :param present: (rows, steps) uint8.
    :param keys: (rows,) int64.
    :param counts: (keys, steps) uint8, zeros, written; undefined where `cancel` was set.
    """
    for row in range(present.shape[0]):
        if cancel[0]:
            return
        there, counted = present[row], counts[keys[row]]
        for step in range(there.size):
            if there[step]:
                counted[step] = 1 if counted[step] == 0 else 2
