"""Quantiles of native histograms, and how many of their observations lie between two values.

The algorithms, and the order of operations, are those of `app.engine.histogram.statistics`, which is the
plain twin, with Go's logarithm and power of two as in `app.engine.histogram.floats`.
"""

import math

import numpy as np

from app.engine.histogram import floats
from app.engine.kernels.native_windows import ROW_BUCKETS, ROW_COUNT, ROW_SUM
from app.kernels.jit import float_kernel

RESULT_IS_NAN, SKEWED_HIGHER, EXCLUDED = 1, 2, 4
"""What observations of NaN did, bits."""

_LN2_HIGH, _LN2_LOW = floats.LN2_HIGH, floats.LN2_LOW
_ODD, _EVEN, _EXP = floats.LOG_ODD, floats.LOG_EVEN, floats.EXP
_PER_LN2 = 1 / math.log(2)
_HALF_ROOT = 0.5**0.5


@float_kernel
def _log2(value):
    if value != value or value < 0:
        return np.nan
    if value == 0:
        return -np.inf
    if np.isinf(value):
        return value
    fraction, exponent = math.frexp(value)
    if fraction == 0.5:
        return np.float64(exponent - 1)
    more = 0.0
    if fraction <= _HALF_ROOT:
        fraction, more = fraction * 2, -1.0
    f = fraction - 1
    s = f / (2 + f)
    s2 = s * s
    s4 = s2 * s2
    odd = s2 * (_ODD[0] + s4 * (_ODD[1] + s4 * (_ODD[2] + s4 * _ODD[3])))
    even = s4 * (_EVEN[0] + s4 * (_EVEN[1] + s4 * _EVEN[2]))
    half = 0.5 * f * f
    log = more * _LN2_HIGH - ((half - (s * (half + (odd + even)) + more * _LN2_LOW)) - f)
    return log * _PER_LN2 + exponent


@float_kernel
def _exp2(value):
    if value != value:
        return value
    if value > 1.0239999999999999e03:
        return np.inf
    if value < -1.0740e03:
        return 0.0
    whole = int(value + 0.5) if value > 0 else int(value - 0.5)
    part = value - whole
    high, low = part * _LN2_HIGH, -part * _LN2_LOW
    r = high - low
    t = r * r
    c = r - t * (_EXP[0] + t * (_EXP[1] + t * (_EXP[2] + t * (_EXP[3] + t * _EXP[4]))))
    return math.ldexp(1 - ((low - (r * c) / (2 - c)) - high), whole)


@float_kernel
def _sides(row, zero):
    """Whether there is anything on the positive side, and on the negative one."""
    positive, negative = False, False
    for place in range(ROW_BUCKETS, row.size):
        if row[place] != 0:
            positive = positive or place > zero
            negative = negative or place < zero
    return positive, negative


@float_kernel
def _quantile(q, row, zero, lower, upper, custom):
    """The value, and what there is to remark."""
    count = row[ROW_COUNT]
    if q < 0:
        return -np.inf, 0
    if q > 1:
        return np.inf, 0
    if count == 0 or q != q:
        return np.nan, 0
    with_nan = row[ROW_SUM] != row[ROW_SUM]
    rising = with_nan or q < 0.5
    rank = (q if rising else 1 - q) * count
    low, high, own, reached, at = 0.0, 0.0, 0.0, 0.0, row.size
    for number in range(ROW_BUCKETS, row.size):
        place = number if rising else row.size - 1 + ROW_BUCKETS - number
        if row[place] > 0 or (place != zero and row[place] != 0):
            low, high, own = lower[place], upper[place], row[place]
            reached += own
            if reached >= rank:
                at = number
                break
    if custom:
        if low == -np.inf:
            if high <= 0:
                return high, 0
            low = 0.0
        elif high == np.inf:
            return low, 0
    elif low < 0 < high:
        positive, negative = _sides(row, zero)
        if positive and not negative:
            low = 0.0
        elif negative and not positive:
            high = 0.0
    reached = count if reached > count else reached
    if reached < rank:
        return (np.nan, RESULT_IS_NAN) if with_nan else (high, 0)
    rank = rank - (reached - own) if rising else reached - rank
    remark = 0
    if with_nan:
        for place in range(at + 1, row.size):
            if row[place] > 0 or (place != zero and row[place] != 0):
                low, high, own = lower[place], upper[place], row[place]
                reached += own
        if reached < count:
            remark = SKEWED_HIGHER
    part = rank / own
    if custom or low <= 0 <= high:
        return low + (high - low) * part, remark
    log_low, log_high = _log2(abs(low)), _log2(abs(high))
    if low > 0:
        return _exp2(log_low + (log_high - log_low) * part), remark
    return -_exp2(log_high + (log_low - log_high) * (1 - part)), remark


@float_kernel
def _rank(row, value, zero, lower, upper, custom):
    """How many observations are below a value; infinitely many: all of the buckets'."""
    rank = 0.0
    for place in range(ROW_BUCKETS, row.size):
        own = row[place]
        if not (own > 0 or (place != zero and own != 0)):
            continue
        low, high = lower[place], upper[place]
        around_zero = low <= 0 <= high
        if around_zero:
            positive, negative = _sides(row, zero)
            if positive and not negative:
                low = 0.0
            elif negative and not positive:
                high = 0.0
        if low >= value:
            return rank
        if high > value:
            if custom or around_zero:
                return own if low == -np.inf else rank + own * ((value - low) / (high - low))
            log_low, log_high, log = _log2(abs(low)), _log2(abs(high)), _log2(abs(value))
            if value > 0:
                return rank + own * ((log - log_low) / (log_high - log_low))
            return rank + own * (1 - (log - log_high) / (log_low - log_high))
        rank += own
    return np.inf


@float_kernel
def _fraction(low, high, row, zero, lower, upper, custom):
    """The fraction of the observations, and what there is to remark."""
    count = row[ROW_COUNT]
    if count == 0 or low != low or high != high:
        return np.nan, 0
    if low >= high:
        return 0.0, 0
    below, up_to = (
        _rank(row, low, zero, lower, upper, custom),
        _rank(row, high, zero, lower, upper, custom),
    )
    most, remark = count, 0
    if row[ROW_SUM] != row[ROW_SUM]:
        most = 0.0
        for place in range(ROW_BUCKETS, row.size):
            if row[place] > 0 or place != zero:
                most += row[place]
        if most < count:
            remark = EXCLUDED
    below = most if below == np.inf or below > most else below
    up_to = most if up_to == np.inf or up_to > most else up_to
    return (up_to - below) / count, remark


@float_kernel
def native_values(first, second, fractions, data, present, zero, lower, upper, custom, out, cancel):
    """Quantiles, or fractions, of all histograms.

    :param first: (steps,) float64, the quantiles; where `fractions`, lower limits, and `second` upper ones.
    :param data: (rows, steps, width) float64, undefined where `present` (uint8) is 0.
    :param zero: the place of the zero bucket; `lower` and `upper`, (width,) float64, bounds of buckets by
        their place.
    :param custom: whether the bounds are custom ones.
    :param out: (rows, steps) float64, filled where there is a histogram.
    :returns: what there is to remark.
    """
    remarks = 0
    for row in range(data.shape[0]):
        if cancel[0]:
            return remarks
        for step in range(data.shape[1]):
            if not present[row, step]:
                continue
            if fractions:
                out[row, step], remark = _fraction(
                    first[step], second[step], data[row, step], zero, lower, upper, custom
                )
            else:
                out[row, step], remark = _quantile(first[step], data[row, step], zero, lower, upper, custom)
            remarks |= remark
    return remarks
