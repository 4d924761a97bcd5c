"""The operators `</` and `>/`: a histogram without its observations above, or below, a value.

The behaviour is that of Prometheus 3.14 (TrimBuckets in model/histogram/float_histogram.go).
"""

import math
from collections.abc import Mapping

import msgspec

from app.engine.histogram.buckets import Bucket, negative_buckets, positive_buckets, zero_bucket
from app.engine.histogram.floats import divide
from app.engine.histogram.model import FloatHistogram, populated
from app.engine.histogram.statistics import fraction_below


def trim(h: FloatHistogram, bound: float, upper: bool) -> FloatHistogram:
    """Keep what lies below the bound (`upper`, the operator `</`), or above it (`>/`).

    A bucket that the bound cuts keeps an interpolated part. Count and sum are estimated anew from the
    buckets, but only if anything was cut off.
    """
    count = total = 0.0
    sides: list[Mapping[int, float]] = []
    cut = False
    for side, buckets, positive in (
        (h.positive, positive_buckets(h), True),
        (h.negative, negative_buckets(h), False),
    ):
        kept: dict[int, float] = {}
        for index, bucket in zip(sorted(side), buckets, strict=True):
            kept[index], middle = _kept(h, bucket, bound, upper, positive=positive)
            cut = cut or kept[index] != bucket.count
            count += kept[index]
            total += middle * kept[index]
        sides.append(populated(kept))
    zero_count = h.zero_count
    if zero_count > 0:
        zero_count, middle = _kept_of_zero(h, bound, upper)
        cut = cut or zero_count != h.zero_count
        total += middle * zero_count
        count += zero_count
    if not cut:
        return h
    return msgspec.structs.replace(
        h, count=count, sum=total, zero_count=zero_count, positive=sides[0], negative=sides[1]
    )


def _kept(
    h: FloatHistogram, bucket: Bucket, bound: float, upper: bool, *, positive: bool
) -> tuple[float, float]:
    """How many observations stay, and the middle of where they are."""
    if bucket.upper <= bound if upper else bucket.lower >= bound:
        return bucket.count, _middle(bucket.lower, bucket.upper, positive=positive, linear=h.custom)
    if not (bucket.lower < bound if upper else bucket.upper > bound):
        return 0.0, 0.0
    if bucket.lower == -math.inf:
        return _kept_from_minus_infinity(bucket, bound, upper)
    if bucket.upper == math.inf:
        # How its observations are spread is unknown: none is sure to be below the bound, and, from the
        # bucket's start on, none is sure to be above it.
        return (bucket.count, bound) if not upper and bound >= bucket.lower else (0.0, 0.0)
    below = bucket.count * fraction_below(bucket, bound, linear=h.custom)
    if upper:
        return below, _middle(bucket.lower, bound, positive=positive, linear=h.custom)
    return bucket.count - below, _middle(bound, bucket.upper, positive=positive, linear=h.custom)


def _kept_from_minus_infinity(bucket: Bucket, bound: float, upper: bool) -> tuple[float, float]:
    """Of the first custom bucket, which is taken to begin at zero where it ends above zero."""
    ends_above_zero = 0 < bucket.upper < math.inf
    if upper:
        if bound > 0 and ends_above_zero:
            return bucket.count * bound / bucket.upper, bound / 2
        return (bucket.count, bound) if bucket.upper <= 0 else (0.0, 0.0)
    if bound >= 0 and ends_above_zero:
        return bucket.count * (1 - bound / bucket.upper), (bound + bucket.upper) / 2
    return 0.0, 0.0


def _kept_of_zero(h: FloatHistogram, bound: float, upper: bool) -> tuple[float, float]:
    bucket = zero_bucket(h)
    start = 0.0 if h.positive and not h.negative else bucket.lower
    end = 0.0 if h.negative and not h.positive else bucket.upper
    if bound <= start:
        return (0.0, 0.0) if upper else (bucket.count, (start + end) / 2)
    if bound >= end:
        return (bucket.count, (start + end) / 2) if upper else (0.0, 0.0)
    if upper:
        return bucket.count * divide(bound - start, end - start), (start + bound) / 2
    return bucket.count * divide(end - bound, end - start), (bound + end) / 2


def _middle(lower: float, upper: float, *, positive: bool, linear: bool) -> float:
    """Arithmetic or geometric; of an interval up to infinity its finite end."""
    if math.isinf(lower):
        if math.isinf(upper):
            return 0.0
        return upper / 2 if upper > 0 else upper
    if math.isinf(upper):
        return lower
    if linear:
        return (lower + upper) / 2
    middle = math.sqrt(abs(lower * upper))
    return middle if positive else -middle
