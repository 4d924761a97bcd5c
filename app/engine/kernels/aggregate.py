"""Rows of a block summed, averaged and counted into their groups, in the order of the rows."""

import numpy as np

from app.engine.kernels.compensated import plus
from app.kernels.jit import float_kernel, kernel

SUM = 0
AVERAGE = 1
MIN = 2
MAX = 3
COUNT = 4
GROUP = 5
DEVIATION = 6
VARIANCE = 7


@float_kernel
def _sum_row(values, present, low, high, total, lost, count):
    for step in range(low, high):
        seen, before, rest = count[step], total[step], lost[step]
        new, kept = plus(values[step], before, rest)
        if seen == 0:
            new = values[step]
            kept = 0.0
        there = present[step] != 0
        total[step] = new if there else before
        lost[step] = kept if there else rest
        count[step] = seen + 1 if there else seen


@float_kernel
def _average_row(values, present, low, high, total, lost, count, moving):
    """Until a sum overflows, the same; from there on a moving mean in place of the sum."""
    for step in range(low, high):
        if not present[step]:
            continue
        value = values[step]
        count[step] += 1
        seen = np.float64(count[step])
        if seen == 1:
            total[step] = value
            continue
        if not moving[step]:
            new, kept = plus(value, total[step], lost[step])
            if not np.isinf(new):
                total[step] = new
                lost[step] = kept
                continue
            moving[step] = 1
            total[step] /= seen - 1
            lost[step] /= seen - 1
        share = (seen - 1) / seen
        total[step], lost[step] = plus(value / seen, share * total[step], share * lost[step])


@kernel
def _extreme_row(operator, values, present, low, high, total, count):
    for step in range(low, high):
        value, before = values[step], total[step]
        better = before > value if operator == MIN else before < value
        if present[step] and (count[step] == 0 or better or before != before):
            total[step] = value
        count[step] += present[step]


@kernel
def _count_row(present, low, high, count):
    for step in range(low, high):
        count[step] += present[step]


@float_kernel
def _variance_row(values, present, low, high, total, mean, count):
    """Welford's algorithm; anything that begins with NaN or infinity is NaN."""
    for step in range(low, high):
        if not present[step]:
            continue
        value = values[step]
        count[step] += 1
        if count[step] == 1:
            total[step] = 0.0 if np.isfinite(value) else np.nan
            mean[step] = value
            continue
        delta = value - mean[step]
        mean[step] += delta / count[step]
        total[step] += delta * (value - mean[step])


@kernel
def accumulate(operator, values, present, groups, low, high, total, lost, count, moving, cancel):
    """Add the steps `low` to `high` of a block's rows to their groups.

    :param values: (rows, steps) float64, undefined where `present` (uint8) is 0.
    :param groups: (rows,) int64; a negative one leaves a row out.
    :param total: (groups, steps) float64, with `lost` and `moving` (uint8) likewise, and `count` of int32:
        zeros to begin with, in between what `finish` understands.
    """
    for row in range(values.shape[0]):
        if cancel[0]:
            return
        group = groups[row]
        if group < 0:
            continue
        if operator == SUM:
            _sum_row(values[row], present[row], low, high, total[group], lost[group], count[group])
        elif operator == AVERAGE:
            _average_row(
                values[row], present[row], low, high, total[group], lost[group], count[group], moving[group]
            )
        elif operator <= MAX:
            _extreme_row(operator, values[row], present[row], low, high, total[group], count[group])
        elif operator <= GROUP:
            _count_row(present[row], low, high, count[group])
        else:
            _variance_row(values[row], present[row], low, high, total[group], lost[group], count[group])


@float_kernel
def finish(operator, total, lost, count, moving, present, cancel):
    """Turn what `accumulate` gathered into values in `total`, and `present` (uint8) where there are any."""
    for group in range(total.shape[0]):
        if cancel[0]:
            return
        for step in range(total.shape[1]):
            seen = count[group, step]
            present[group, step] = seen > 0
            if seen == 0:
                continue
            if operator == SUM or (operator == AVERAGE and moving[group, step]):
                total[group, step] += lost[group, step]
            elif operator == AVERAGE:
                total[group, step] = total[group, step] / seen + lost[group, step] / seen
            elif operator == COUNT:
                total[group, step] = seen
            elif operator == GROUP:
                total[group, step] = 1.0
            elif operator == VARIANCE:
                total[group, step] /= seen
            elif operator == DEVIATION:
                total[group, step] = np.sqrt(total[group, step] / seen)
