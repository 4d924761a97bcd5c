"""Quantiles, fractions, mean and variance of histograms, native and classic.

The behaviour is that of Prometheus 3.14 (promql/quantile.go and functions.go).
"""

import math
from collections.abc import Iterable, Sequence
from enum import Enum

import msgspec

from app.engine.histogram.buckets import Bucket, all_buckets
from app.engine.histogram.floats import divide, exp2, increment, log2
from app.engine.histogram.model import FloatHistogram


class NanObservations(Enum):
    """What observations of NaN, which no bucket holds, do to a result; the values are Prometheus's words."""

    RESULT_IS_NAN = "input to histogram_quantile has NaN observations, result is NaN"
    SKEWED_HIGHER = "input to histogram_quantile has NaN observations, result is skewed higher"
    EXCLUDED = "input to histogram_fraction has NaN observations, which are excluded from all fractions"


def quantile(q: float, h: FloatHistogram) -> tuple[float, NanObservations | None]:
    """The value below which the fraction `q` of the observations lies.

    Inside a bucket it is interpolated: linearly in custom and zero buckets, on a logarithmic scale in
    exponential ones. A zero bucket is cut at zero where all other buckets are on one side.

    :return: NaN without observations, infinity where `q` is not between 0 and 1.
    """
    if q < 0:
        return -math.inf, None
    if q > 1:
        return math.inf, None
    if h.count == 0 or q != q:
        return math.nan, None
    # From the nearer end, which rounds less. NaNs count as the highest: with them only the low end is sure.
    with_nan = h.sum != h.sum
    rising = with_nan or q < 0.5
    buckets = all_buckets(h)
    if not rising:
        buckets.reverse()
    rank = (q if rising else 1 - q) * h.count
    bucket, count, later = _reach(buckets, rank)
    lower, upper = bucket.lower, bucket.upper
    if h.custom:
        if lower == -math.inf:
            if upper <= 0:
                return upper, None
            lower = 0.0
        elif upper == math.inf:
            return lower, None
    elif lower < 0 < upper:
        lower, upper = _zero_bucket_bounds(h, lower, upper)
    if count > h.count:
        count = h.count
    if count < rank:
        return (math.nan, NanObservations.RESULT_IS_NAN) if with_nan else (upper, None)
    rank = rank - (count - bucket.count) if rising else count - rank
    note = None
    if with_nan:
        # Prometheus 3.14 goes on to count, and then interpolates in the last bucket it has seen.
        for bucket in later:
            count += bucket.count
            lower, upper = bucket.lower, bucket.upper
        if count < h.count:
            note = NanObservations.SKEWED_HIGHER
    return _interpolated(lower, upper, divide(rank, bucket.count), linear=h.custom), note


def _reach(buckets: Sequence[Bucket], rank: float) -> tuple[Bucket, float, Sequence[Bucket]]:
    """The first bucket at which so many observations are reached, or else the last one; how many they are;
    the buckets after it."""
    bucket, count = Bucket(0.0, 0.0, False, False, 0.0), 0.0
    for position, bucket in enumerate(buckets):
        count += bucket.count
        if count >= rank:
            return bucket, count, buckets[position + 1 :]
    return bucket, count, ()


def _zero_bucket_bounds(h: FloatHistogram, lower: float, upper: float) -> tuple[float, float]:
    """Cut at zero, if all other buckets are on one side of it."""
    if h.positive and not h.negative:
        return 0.0, upper
    if h.negative and not h.positive:
        return lower, 0.0
    return lower, upper


def _interpolated(lower: float, upper: float, fraction: float, *, linear: bool) -> float:
    """The value at so much of a bucket's observations."""
    if linear or lower <= 0 <= upper:
        return lower + (upper - lower) * fraction
    low, high = log2(abs(lower)), log2(abs(upper))
    if lower > 0:
        return exp2(low + (high - low) * fraction)
    return -exp2(high + (low - high) * (1 - fraction))


def fraction_below(bucket: Bucket, value: float, *, linear: bool) -> float:
    """How much of a bucket's observations lies below a value inside it; the inverse of interpolation."""
    if linear:
        return divide(value - bucket.lower, bucket.upper - bucket.lower)
    low, high, at = log2(abs(bucket.lower)), log2(abs(bucket.upper)), log2(abs(value))
    if value > 0:
        return divide(at - low, high - low)
    return 1 - divide(at - high, low - high)


def fraction(lower: float, upper: float, h: FloatHistogram) -> tuple[float, NanObservations | None]:
    """The fraction of the observations between two values, interpolated like `quantile`.

    :return: NaN without observations, zero where `lower` is not below `upper`.
    """
    if h.count == 0 or lower != lower or upper != upper:
        return math.nan, None
    if lower >= upper:
        return 0.0, None
    buckets = all_buckets(h)
    lower_rank, upper_rank = _rank(h, buckets, lower), _rank(h, buckets, upper)
    count, note = h.count, None
    if h.sum != h.sum:
        count = 0.0
        for bucket in buckets:
            count += bucket.count
        if count < h.count:
            note = NanObservations.EXCLUDED
    if lower_rank is None or lower_rank > count:
        lower_rank = count
    if upper_rank is None or upper_rank > count:
        upper_rank = count
    return (upper_rank - lower_rank) / h.count, note


def _rank(h: FloatHistogram, buckets: Iterable[Bucket], value: float) -> float | None:
    """How many observations are below the value; None: all of the buckets'."""
    rank = 0.0
    for bucket in buckets:
        around_zero = bucket.lower <= 0 <= bucket.upper
        if around_zero:
            low, high = _zero_bucket_bounds(h, bucket.lower, bucket.upper)
            bucket = msgspec.structs.replace(bucket, lower=low, upper=high)
        if bucket.lower >= value:
            return rank
        if bucket.upper > value:
            if h.custom or around_zero:
                # Nothing can be interpolated down to minus infinity: the whole bucket is below.
                if bucket.lower == -math.inf:
                    return bucket.count
                return rank + bucket.count * fraction_below(bucket, value, linear=True)
            return rank + bucket.count * fraction_below(bucket, value, linear=False)
        rank += bucket.count
    return None


def average(h: FloatHistogram) -> float:
    """The mean of the observations; NaN without any."""
    return divide(h.sum, h.count)


def variance(h: FloatHistogram) -> float:
    """The estimated variance of the observations, each taken to lie in the middle of its bucket: the
    geometric middle of an exponential one, zero in the zero bucket."""
    mean = average(h)
    total = rest = 0.0
    for bucket in all_buckets(h):
        if h.custom:
            value = (bucket.upper + bucket.lower) / 2
        elif bucket.lower <= 0 <= bucket.upper:
            value = 0.0
        else:
            value = math.sqrt(bucket.upper * bucket.lower)
            if bucket.upper < 0:
                value = -value
        distance = value - mean
        total, rest = increment(bucket.count * distance * distance, total, rest)
    return divide(total + rest, h.count)


def deviation(h: FloatHistogram) -> float:
    """The estimated standard deviation of the observations."""
    found = variance(h)
    return math.nan if found < 0 else math.sqrt(found)
