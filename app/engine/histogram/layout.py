"""Two histograms brought to one bucket layout: schema, zero bucket, custom bounds."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from app.engine.histogram.floats import increment
from app.engine.histogram.model import FloatHistogram, ResetHint, exponential_bound, populated

Pair = tuple[dict[int, float], dict[int, float]]
"""Buckets, and what rounding has taken from each of them; an index may be in either alone."""


def merged_index(index: int, steps: int) -> int:
    """The bucket that holds bucket `index` in a schema lower by `steps`."""
    return ((index - 1) >> steps) + 1


def reduced(buckets: Mapping[int, float], steps: int) -> dict[int, float]:
    """Buckets of a schema lower by `steps`; summed from the lowest index up, as rounding depends on order."""
    if not steps:
        return dict(buckets)
    coarse: dict[int, float] = {}
    for index in sorted(buckets):
        target = merged_index(index, steps)
        coarse[target] = coarse[target] + buckets[index] if target in coarse else buckets[index]
    return populated(coarse)


def reduced_pair(buckets: Mapping[int, float], rests: Mapping[int, float], steps: int) -> Pair:
    """Like `reduced`, with compensated sums."""
    if not steps:
        return dict(buckets), dict(rests)
    coarse: dict[int, float] = {}
    coarse_rests: dict[int, float] = {}
    for index in sorted(buckets.keys() | rests.keys()):
        target, value, rest = merged_index(index, steps), buckets.get(index, 0.0), rests.get(index, 0.0)
        if target in coarse:
            total = increment(value, coarse[target], coarse_rests[target])
            coarse[target], coarse_rests[target] = increment(rest, *total)
        else:
            coarse[target], coarse_rests[target] = value, rest
    return populated(coarse), populated(coarse_rests)


def at_schema(h: FloatHistogram, schema: int) -> FloatHistogram:
    """A lower resolution of an exponential histogram; nothing is known of its resets, if it is really lower.

    :param schema: at most the histogram's own.
    :raises ValueError: the histogram has custom bounds, or a lower resolution already.
    """
    if schema == h.schema:
        return h
    if h.custom or schema > h.schema:
        raise ValueError(f"a histogram of schema {h.schema} cannot be brought to schema {schema}")
    steps = h.schema - schema
    return msgspec.structs.replace(
        h,
        schema=schema,
        positive=reduced(h.positive, steps),
        negative=reduced(h.negative, steps),
        reset_hint=ResetHint.UNKNOWN,
    )


def zero_bucket_up_to(
    h: FloatHistogram, threshold: float, rest: FloatHistogram | None = None
) -> tuple[float, float, float]:
    """What the zero bucket would be with a higher threshold.

    :param threshold: at least the histogram's own; it grows to the end of a populated bucket that it cuts.
    :param rest: what rounding has taken from each part of `h`.
    :return: count, threshold, and what rounding has taken from the count.
    """
    lost = rest.zero_count if rest is not None else 0.0
    if threshold == h.zero_threshold:
        return h.zero_count, threshold, lost
    positive, negative = (rest.positive, rest.negative) if rest is not None else (None, None)
    while True:
        count = h.zero_count
        count, lost, threshold = _swallow(h, h.positive, positive, threshold, (count, lost))
        count, lost, end = _swallow(h, h.negative, negative, threshold, (count, lost))
        if not end > threshold:
            return count, threshold, lost
        # A negative bucket is cut: the positive ones have to be looked at again, up to its end.
        threshold = end


def _swallow(
    h: FloatHistogram,
    buckets: Mapping[int, float],
    rests: Mapping[int, float] | None,
    threshold: float,
    total: tuple[float, float],
) -> tuple[float, float, float]:
    """One side's buckets that begin below the threshold, added to the zero bucket's count."""
    for index in sorted(buckets.keys() | rests.keys() if rests else buckets):
        if exponential_bound(index - 1, h.schema) >= threshold:
            break
        count = buckets.get(index, 0.0)
        total = increment(count, *total)
        if rests is not None:
            total = increment(rests.get(index, 0.0), *total)
        end = exponential_bound(index, h.schema)
        if end > threshold:
            return *total, end if count else threshold
    return *total, threshold


def _without_zero_bucket(
    h: FloatHistogram, buckets: Mapping[int, float], threshold: float
) -> dict[int, float]:
    return {i: count for i, count in buckets.items() if exponential_bound(i - 1, h.schema) >= threshold}


def with_zero_threshold(
    h: FloatHistogram, threshold: float, rest: FloatHistogram | None
) -> tuple[FloatHistogram, FloatHistogram | None]:
    """Both with a zero bucket that reaches at least up to the threshold, without the buckets inside it."""
    count, threshold, lost = zero_bucket_up_to(h, threshold, rest)
    widened = msgspec.structs.replace(
        h,
        zero_threshold=threshold,
        zero_count=count,
        positive=_without_zero_bucket(h, h.positive, threshold),
        negative=_without_zero_bucket(h, h.negative, threshold),
    )
    if rest is None:
        return widened, None
    return widened, msgspec.structs.replace(
        rest,
        zero_threshold=threshold,
        zero_count=lost,
        positive=_without_zero_bucket(h, rest.positive, threshold),
        negative=_without_zero_bucket(h, rest.negative, threshold),
    )


def with_one_zero_bucket(
    h: FloatHistogram, other: FloatHistogram, rest: FloatHistogram | None = None
) -> tuple[FloatHistogram, FloatHistogram | None, float, float]:
    """The smallest zero bucket that holds those of both, and cuts no populated bucket of either.

    :return: `h` and `rest` with it; the zero count `other` would have with it, and what rounding took from
        that.
    """
    count, threshold, lost = other.zero_count, other.zero_threshold, 0.0
    while threshold != h.zero_threshold:
        if h.zero_threshold > threshold:
            count, threshold, lost = zero_bucket_up_to(other, h.zero_threshold)
        elif threshold > h.zero_threshold:
            h, rest = with_zero_threshold(h, threshold, rest)
        else:
            raise ValueError("a histogram's zero threshold is not a number")
    return h, rest, count, lost


def common_bounds(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    """The custom bounds that both have."""
    others = frozenset(b)
    return tuple(bound for bound in a if bound in others)


def add_to_bounds(
    into: Pair,
    buckets: Mapping[int, float],
    bounds: Sequence[float],
    common: Sequence[float],
    sign: float = 1.0,
    rests: Mapping[int, float] = MappingProxyType({}),
) -> None:
    """Buckets added to those of fewer bounds, each to the first that ends where it ends, or later.

    :param into: changed here.
    :param sign: 1, or -1 to subtract.
    :param rests: what rounding has taken from the buckets.
    """
    totals, lost = into
    for index in sorted(buckets.keys() | rests.keys()):
        target = bisect_left(common, bounds[index]) if index < len(bounds) else len(common)
        total = totals.get(target, 0.0), lost.get(target, 0.0)
        total = increment(sign * buckets.get(index, 0.0), *total)
        totals[target], lost[target] = increment(rests.get(index, 0.0), *total)
