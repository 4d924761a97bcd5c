"""Quantiles of classic histograms."""

import numpy as np

from app.kernels.jit import float_kernel, kernel

_TOLERANCE = 1e-12
"""Relative difference of two counts that counts as none: it comes from rounding."""
_LEAST_NORMAL = 2.2250738585072014e-308
_GREATEST = 1.7976931348623157e308


@kernel
def _almost_equal(left, right):
    """As Prometheus compares floats (util/almost)."""
    if left == right or (left != left and right != right):
        return True
    total = abs(left) + abs(right)
    difference = abs(left - right)
    if left == 0 or right == 0 or total < _LEAST_NORMAL:
        return difference < _TOLERANCE * _LEAST_NORMAL
    return difference / min(total, _GREATEST) < _TOLERANCE


@kernel
def _straighten(bounds, counts, size):
    """Make counts rise with the bounds.

    :return: the lowest and the highest bound whose count had to be raised by more than rounding explains,
        and by how much at most; 0 where none had to.
    """
    low, high, most = np.inf, -np.inf, 0.0
    before = counts[0]
    for at in range(1, size):
        now = counts[at]
        if now == before:
            continue
        if _almost_equal(before, now):
            counts[at] = before
        elif now < before:
            counts[at] = before
            low = min(low, bounds[at])
            high = max(high, bounds[at])
            most = max(most, before - now)
        else:
            before = now
    return low, high, most


@float_kernel
def _interpolate(quantile, bounds, counts, size):
    observations = counts[size - 1]
    if size < 2 or observations == 0:
        return np.nan
    rank = quantile * observations
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) // 2
        if counts[middle] >= rank:
            high = middle
        else:
            low = middle + 1
    if low == size - 1:
        return bounds[size - 2]
    if low == 0 and bounds[0] <= 0:
        return bounds[0]
    start = 0.0
    count = counts[low]
    if low > 0:
        start = bounds[low - 1]
        count -= counts[low - 1]
        rank -= counts[low - 1]
    return start + (bounds[low] - start) * (rank / count)


@float_kernel
def bucket_quantiles(quantiles, order, starts, limits, values, present, out, filled, forced, cancel):
    """histogram_quantile at all steps.

    :param quantiles: (steps,) float64.
    :param order: (rows,) int64, the buckets of a histogram next to each other, by their bound.
    :param starts: (histograms + 1,) int64, positions in `order`.
    :param limits: (series,) float64, the bound of each row.
    :param out: (histograms, steps) float64; `filled` (uint8) where there is any bucket.
    :param forced: (steps, 4) float64: how many histograms had counts that did not rise with the bounds, and
        the least, the greatest and the most of `_straighten`.
    """
    widest = 0
    for group in range(starts.size - 1):
        widest = max(widest, starts[group + 1] - starts[group])
    bounds, counts = np.empty(widest), np.empty(widest)
    for group in range(starts.size - 1):
        for step in range(quantiles.size):
            if cancel[0]:
                return
            size = 0
            for place in range(starts[group], starts[group + 1]):
                row = order[place]
                if not present[row, step]:
                    continue
                if size and bounds[size - 1] == limits[row]:
                    counts[size - 1] += values[row, step]
                else:
                    bounds[size] = limits[row]
                    counts[size] = values[row, step]
                    size += 1
            filled[group, step] = size > 0
            quantile = quantiles[step]
            if size == 0:
                continue
            if quantile != quantile:
                out[group, step] = np.nan
            elif quantile < 0:
                out[group, step] = -np.inf
            elif quantile > 1:
                out[group, step] = np.inf
            elif bounds[size - 1] != np.inf:
                out[group, step] = np.nan
            else:
                low, high, most = _straighten(bounds, counts, size)
                if low <= high:
                    forced[step, 0] += 1
                    forced[step, 1] = min(forced[step, 1], low)
                    forced[step, 2] = max(forced[step, 2], high)
                    forced[step, 3] = max(forced[step, 3], most)
                out[group, step] = _interpolate(quantile, bounds, counts, size)
