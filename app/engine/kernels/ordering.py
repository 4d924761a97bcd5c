"""Sorting as PromQL does, NaN before everything, and quantiles of what is sorted."""

import numpy as np

from app.kernels.jit import float_kernel, kernel


@kernel
def _sift(values, root, count):
    while True:
        child = 2 * root + 1
        if child >= count:
            return
        if child + 1 < count and values[child] < values[child + 1]:
            child += 1
        if not values[root] < values[child]:
            return
        values[root], values[child] = values[child], values[root]
        root = child


@kernel
def sort_values(values, count):
    """Sort the first `count` in place, NaN first."""
    missing = 0
    for at in range(count):
        if values[at] != values[at]:
            values[at], values[missing] = values[missing], values[at]
            missing += 1
    rest = values[missing:count]
    size = count - missing
    if size <= 24:
        for at in range(1, size):
            value = rest[at]
            place = at
            while place > 0 and rest[place - 1] > value:
                rest[place] = rest[place - 1]
                place -= 1
            rest[place] = value
        return
    for root in range(size // 2 - 1, -1, -1):
        _sift(rest, root, size)
    for last in range(size - 1, 0, -1):
        rest[0], rest[last] = rest[last], rest[0]
        _sift(rest, 0, last)


@float_kernel
def quantile_of(rank, values, count):
    """The quantile of the first `count` values, which get sorted; interpolated between neighbours."""
    if count == 0 or rank != rank:
        return np.nan
    if rank < 0:
        return -np.inf
    if rank > 1:
        return np.inf
    sort_values(values, count)
    place = rank * (count - 1)
    lower = max(0.0, np.floor(place))
    upper = min(count - 1.0, lower + 1)
    weight = place - np.floor(place)
    return values[np.int64(lower)] * (1 - weight) + values[np.int64(upper)] * weight
