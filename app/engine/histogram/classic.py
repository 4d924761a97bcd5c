"""Quantiles and fractions of classic histograms, whose buckets are series of their own with a label `le`.

The behaviour is that of Prometheus 3.14 (promql/quantile.go). Buckets are pairs of upper bound and cumulative
count, in any order.
"""

import math
from collections.abc import Iterable

import msgspec

from app.engine.histogram.floats import close, divide

SMALL_DIFFERENCE = 1e-12
"""Relative difference of neighbouring buckets that is taken for an artefact of rounding."""

Buckets = list[tuple[float, float]]


class ClassicQuantile(msgspec.Struct, frozen=True):
    """A quantile, and how its buckets had to be repaired.

    :param forced_monotonic: a cumulative count fell by more than rounding explains.
    :param fixed_precision: counts differed by as little as rounding explains.
    :param min_bucket: the lowest upper bound at which a count was forced; infinity: at none.
    :param max_bucket: the highest; minus infinity: at none.
    :param max_diff: by how much at most.
    """

    value: float
    forced_monotonic: bool = False
    fixed_precision: bool = False
    min_bucket: float = math.inf
    max_bucket: float = -math.inf
    max_diff: float = 0.0


def bucket_quantile(q: float, buckets: Iterable[tuple[float, float]]) -> ClassicQuantile:
    """The value below which the fraction `q` of the observations lies, interpolated linearly.

    :return: NaN without observations, without a bucket up to infinity, or with no other; infinity where `q`
        is not between 0 and 1.
    """
    if q != q:
        return ClassicQuantile(math.nan)
    if q < 0 or q > 1:
        return ClassicQuantile(-math.inf if q < 0 else math.inf)
    merged = _merged(buckets)
    if not merged or merged[-1][0] != math.inf:
        return ClassicQuantile(math.nan)
    merged, repairs = _monotonic(merged)
    if len(merged) < 2 or merged[-1][1] == 0:
        return repairs
    return msgspec.structs.replace(repairs, value=_at_rank(merged, q * merged[-1][1]))


def _merged(buckets: Iterable[tuple[float, float]]) -> Buckets:
    """By upper bound, those of one bound added up: `le="1"` and `le="1.0"` are two series."""
    merged: Buckets = []
    for bound, count in sorted(buckets, key=lambda bucket: bucket[0]):
        if merged and merged[-1][0] == bound:
            merged[-1] = (merged[-1][0], merged[-1][1] + count)
        else:
            merged.append((bound, count))
    return merged


def _monotonic(buckets: Buckets) -> tuple[Buckets, ClassicQuantile]:
    """Buckets whose counts never fall, and what had to be done for it."""
    repaired = [buckets[0]]
    previous = buckets[0][1]
    forced: list[tuple[float, float]] = []
    fixed = False
    for bound, count in buckets[1:]:
        if count != previous and close(previous, count, SMALL_DIFFERENCE):
            fixed = True
        elif count < previous:
            forced.append((bound, previous - count))
        else:
            previous = count
        repaired.append((bound, previous))
    if not forced:
        return repaired, ClassicQuantile(math.nan, fixed_precision=fixed)
    return repaired, ClassicQuantile(
        math.nan,
        forced_monotonic=True,
        fixed_precision=fixed,
        min_bucket=forced[0][0],
        max_bucket=forced[-1][0],
        max_diff=max(difference for _, difference in forced),
    )


def _at_rank(buckets: Buckets, rank: float) -> float:
    """:param buckets: at least two, with rising counts, the last one up to infinity."""
    first, last = 0, len(buckets) - 1
    while first < last:
        middle = (first + last) // 2
        if buckets[middle][1] >= rank:
            last = middle
        else:
            first = middle + 1
    end, count = buckets[first]
    if first == len(buckets) - 1:
        return buckets[-2][0]
    if first == 0 and end <= 0:
        return end
    start = 0.0
    if first > 0:
        start, before = buckets[first - 1]
        count -= before
        rank -= before
    return start + (end - start) * divide(rank, count)


def bucket_fraction(lower: float, upper: float, buckets: Iterable[tuple[float, float]]) -> float:
    """The fraction of the observations between two values, interpolated linearly.

    :return: NaN without observations, or without a bucket up to infinity; zero where `lower` is not below
        `upper`.
    """
    merged = _merged(buckets)
    if not merged or merged[-1][0] != math.inf:
        return math.nan
    count = merged[-1][1]
    if count == 0 or lower != lower or upper != upper:
        return math.nan
    if lower >= upper:
        return 0.0
    ranks = []
    for value in (lower, upper):
        rank = _rank(merged, value)
        ranks.append(count if rank is None or rank > count else rank)
    return divide(ranks[1] - ranks[0], count)


def _rank(buckets: Buckets, value: float) -> float | None:
    """How many observations are below the value; None: all."""
    rank = 0.0
    start = 0.0 if buckets[0][0] > 0 else -math.inf
    for end, count in buckets:
        if start >= value:
            return rank
        if end > value:
            # Nothing can be interpolated down to minus infinity: the whole bucket is below.
            if start == -math.inf:
                return count
            return rank + (count - rank) * (value - start) / (end - start)
        rank, start = count, end
    return None
