"""Aggregations that look at all values of a group at a step: quantile, topk, bottomk."""

import numpy as np

from app.engine.kernels.ordering import quantile_of
from app.kernels.jit import kernel


@kernel
def quantiles(rank, order, starts, values, present, out, filled, cancel):
    """
    :param rank: (steps,) float64, which quantile.
    :param order: (rows,) int64, the rows of a group next to each other.
    :param starts: (groups + 1,) int64, positions in `order`.
    :param out: (groups, steps) float64; `filled` (uint8) where a group has any value.
    """
    scratch = np.empty(order.size, np.float64)
    for group in range(starts.size - 1):
        for step in range(rank.size):
            if cancel[0]:
                return
            count = 0
            for place in range(starts[group], starts[group + 1]):
                row = order[place]
                if present[row, step]:
                    scratch[count] = values[row, step]
                    count += 1
            filled[group, step] = count > 0
            if count:
                out[group, step] = quantile_of(rank[step], scratch, count)


@kernel
def _before(left, right, down):
    """The order of Prometheus's heaps: NaN first, and towards the value that is dropped next."""
    if left != left:
        return True
    return left > right if down else left < right


@kernel
def _up(heap, keys, at, down):
    while at > 0:
        parent = (at - 1) // 2
        if not _before(keys[at], keys[parent], down):
            return
        heap[at], heap[parent] = heap[parent], heap[at]
        keys[at], keys[parent] = keys[parent], keys[at]
        at = parent


@kernel
def _down(heap, keys, size, down):
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        if child + 1 < size and _before(keys[child + 1], keys[child], down):
            child += 1
        if not _before(keys[child], keys[at], down):
            return
        heap[at], heap[child] = heap[child], heap[at]
        keys[at], keys[child] = keys[child], keys[at]
        at = child


@kernel
def _sort(heap, keys, size, down, cancel):
    """Best first; equals stay as they are."""
    for at in range(1, size):
        if cancel[0]:
            return
        place = at
        while place > 0 and _before(keys[place - 1], keys[place], down):
            heap[place - 1], heap[place] = heap[place], heap[place - 1]
            keys[place - 1], keys[place] = keys[place], keys[place - 1]
            place -= 1


@kernel
def choose(most, down, order, starts, values, present, chosen, ranked, cancel):
    """topk and bottomk at all steps.

    Heaps behave as Go's container/heap does, so that of equal values the same ones stay.

    :param most: (steps,) int64, how many of a group.
    :param down: whether the least values are wanted.
    :param order: see `quantiles`; rows of a group in their original order.
    :param chosen: (rows, steps) uint8, zeros, set where a row is among the chosen.
    :param ranked: (rows,) int64, written: rows chosen at the last step, group by group, best first.
    :return: how many of `ranked` there are.
    """
    heap = np.empty(order.size, np.int64)
    keys = np.empty(order.size, np.float64)
    written = 0
    for group in range(starts.size - 1):
        for step in range(most.size):
            if cancel[0]:
                return written
            size = 0
            for place in range(starts[group], starts[group + 1]):
                row = order[place]
                if not present[row, step] or most[step] < 1:
                    continue
                value = values[row, step]
                if size < most[step]:
                    heap[size], keys[size] = row, value
                    size += 1
                    _up(heap, keys, size - 1, down)
                elif (keys[0] > value if down else keys[0] < value) or (
                    keys[0] != keys[0] and value == value
                ):
                    heap[0], keys[0] = row, value
                    _down(heap, keys, size, down)
            for place in range(size):
                chosen[heap[place], step] = 1
            if step == most.size - 1:
                _sort(heap, keys, size, down, cancel)
                for place in range(size):
                    ranked[written] = heap[place]
                    written += 1
    return written
