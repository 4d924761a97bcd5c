"""Histograms added, subtracted, scaled, compared; and resets of counters between two of them.

The behaviour is that of Prometheus 3.14 (model/histogram/float_histogram.go). Nothing here changes its
arguments.
"""

from collections.abc import Iterable, Mapping

import msgspec

from app.engine.histogram.floats import bits, close, divide
from app.engine.histogram.layout import (
    add_to_bounds,
    common_bounds,
    reduced,
    with_one_zero_bucket,
    zero_bucket_up_to,
)
from app.engine.histogram.model import (
    FloatHistogram,
    HistogramMismatch,
    ResetHint,
    exponential_bound,
    populated,
)


class Notes(msgspec.Struct, frozen=True):
    """What an operation has to say beside its result.

    :param reset_collision: one histogram is said to follow a counter reset, the other not to.
    :param bounds_reconciled: custom bounds differed; the result has only those that both had.
    """

    reset_collision: bool = False
    bounds_reconciled: bool = False

    def __or__(self, other: "Notes") -> "Notes":
        return Notes(
            self.reset_collision or other.reset_collision, self.bounds_reconciled or other.bounds_reconciled
        )


def joint_hint(a: ResetHint, b: ResetHint) -> tuple[ResetHint, bool]:
    """What is known of resets before a sum or difference, and whether the hints contradict each other."""
    if a is b:
        return a, False
    if ResetHint.GAUGE in (a, b):
        return ResetHint.GAUGE, False
    return ResetHint.UNKNOWN, ResetHint.UNKNOWN not in (a, b)


def check_match(a: FloatHistogram, b: FloatHistogram) -> None:
    """:raises HistogramMismatch: one has custom bounds, the other an exponential schema."""
    if a.custom != b.custom:
        raise HistogramMismatch("one histogram has exponential buckets, the other custom bounds")


def add(a: FloatHistogram, b: FloatHistogram) -> tuple[FloatHistogram, Notes]:
    """`a + b`, at the lower of their resolutions.

    :raises HistogramMismatch: one has custom bounds, the other an exponential schema.
    """
    return _combined(a, b, 1.0)


def sub(a: FloatHistogram, b: FloatHistogram) -> tuple[FloatHistogram, Notes]:
    """`a - b`, at the lower of their resolutions.

    The hint is that of a sum: whoever shows the difference to a user makes it a gauge.

    :raises HistogramMismatch: one has custom bounds, the other an exponential schema.
    """
    return _combined(a, b, -1.0)


def _combined(a: FloatHistogram, b: FloatHistogram, sign: float) -> tuple[FloatHistogram, Notes]:
    check_match(a, b)
    hint, collision = joint_hint(a.reset_hint, b.reset_hint)
    count, total = a.count + sign * b.count, a.sum + sign * b.sum
    if a.custom:
        bounds, positive = _combined_custom(a, b, sign)
        combined = msgspec.structs.replace(
            a, count=count, sum=total, positive=positive, custom_values=bounds, reset_hint=hint
        )
        return combined, Notes(collision, bounds_reconciled=a.custom_values != b.custom_values)
    # Zero buckets first, at the resolutions the two came with: buckets a lower one merges could no longer be
    # told apart there.
    a, _, zero_count, _ = with_one_zero_bucket(a, b)
    schema = min(a.schema, b.schema)
    combined = msgspec.structs.replace(
        a,
        schema=schema,
        count=count,
        sum=total,
        zero_count=a.zero_count + sign * zero_count,
        positive=_merged(a, b, a.positive, b.positive, sign),
        negative=_merged(a, b, a.negative, b.negative, sign),
        reset_hint=hint,
    )
    return combined, Notes(collision)


def _combined_custom(
    a: FloatHistogram, b: FloatHistogram, sign: float
) -> tuple[tuple[float, ...], Mapping[int, float]]:
    """Bounds and buckets."""
    if a.custom_values == b.custom_values:
        merged = dict(a.positive)
        for index, count in b.positive.items():
            merged[index] = merged.get(index, 0.0) + sign * count
        return a.custom_values, populated(merged)
    common = common_bounds(a.custom_values, b.custom_values)
    totals: dict[int, float] = {}
    rests: dict[int, float] = {}
    add_to_bounds((totals, rests), a.positive, a.custom_values, common)
    add_to_bounds((totals, rests), b.positive, b.custom_values, common, sign)
    return common, populated(totals)


def _merged(
    a: FloatHistogram, b: FloatHistogram, own: Mapping[int, float], others: Mapping[int, float], sign: float
) -> dict[int, float]:
    """One side's buckets of both, without those of `b` that the zero bucket of `a` holds."""
    schema = min(a.schema, b.schema)
    merged = reduced(own, a.schema - schema)
    others = reduced(others, b.schema - schema)
    for index in outside(others, schema, a.zero_threshold):
        merged[index] = merged.get(index, 0.0) + sign * others[index]
    return populated(merged)


def outside(buckets: Iterable[int], schema: int, threshold: float) -> list[int]:
    """Indexes, rising, of the buckets that end above the threshold."""
    indexes = sorted(buckets)
    for position, index in enumerate(indexes):
        if exponential_bound(index, schema) > threshold:
            return indexes[position:]
    return []


def mul(h: FloatHistogram, factor: float) -> FloatHistogram:
    """Every count and the sum, times the factor; a negative one makes it a gauge."""
    return msgspec.structs.replace(
        h,
        zero_count=h.zero_count * factor,
        count=h.count * factor,
        sum=h.sum * factor,
        positive=populated({index: count * factor for index, count in h.positive.items()}),
        negative=populated({index: count * factor for index, count in h.negative.items()}),
        reset_hint=ResetHint.GAUGE if factor < 0 else h.reset_hint,
    )


def div(h: FloatHistogram, scalar: float) -> FloatHistogram:
    """Every count and the sum, divided; a negative scalar makes it a gauge, and zero leaves no buckets."""
    positive: dict[int, float] = {}
    negative: dict[int, float] = {}
    if scalar != 0:
        positive = populated({index: count / scalar for index, count in h.positive.items()})
        negative = populated({index: count / scalar for index, count in h.negative.items()})
    return msgspec.structs.replace(
        h,
        zero_count=divide(h.zero_count, scalar),
        count=divide(h.count, scalar),
        sum=divide(h.sum, scalar),
        positive=positive,
        negative=negative,
        reset_hint=ResetHint.GAUGE if scalar < 0 else h.reset_hint,
    )


def negate(h: FloatHistogram) -> FloatHistogram:
    """The unary minus: a gauge."""
    return mul(h, -1.0)


def equals(a: FloatHistogram, b: FloatHistogram) -> bool:
    """Whether they hold the same data, to the bit; what is known of resets does not matter."""
    return (
        a.schema == b.schema
        and a.zero_threshold == b.zero_threshold
        and a.custom_values == b.custom_values
        and bits(a.count) == bits(b.count)
        and bits(a.sum) == bits(b.sum)
        and bits(a.zero_count) == bits(b.zero_count)
        and _same_buckets(a.positive, b.positive)
        and _same_buckets(a.negative, b.negative)
    )


def _same_buckets(a: Mapping[int, float], b: Mapping[int, float]) -> bool:
    return a.keys() == b.keys() and all(bits(count) == bits(b[index]) for index, count in a.items())


def almost_equal(a: FloatHistogram, b: FloatHistogram, tolerance: float = 1e-6) -> bool:
    """Whether they have the same layout, and floats that are `close`."""
    return (
        a.schema == b.schema
        and a.zero_threshold == b.zero_threshold
        and a.custom_values == b.custom_values
        and close(a.count, b.count, tolerance)
        and close(a.sum, b.sum, tolerance)
        and close(a.zero_count, b.zero_count, tolerance)
        and _close_buckets(a.positive, b.positive, tolerance)
        and _close_buckets(a.negative, b.negative, tolerance)
    )


def _close_buckets(a: Mapping[int, float], b: Mapping[int, float], tolerance: float) -> bool:
    return a.keys() == b.keys() and all(close(count, b[index], tolerance) for index, count in a.items())


def detect_reset(current: FloatHistogram, previous: FloatHistogram) -> bool:
    """Whether a counter was reset between the two: its hint says so, or a count has become lower.

    A higher resolution, a narrower zero bucket, and a zero bucket that cuts a populated bucket of the
    previous histogram come with resets only.
    """
    if current.reset_hint is ResetHint.RESET:
        return True
    if current.reset_hint is ResetHint.NOT_RESET:
        return False
    if current.count < previous.count:
        return True
    if current.custom:
        return not previous.custom or _custom_reset(current, previous)
    if current.schema > previous.schema or current.zero_threshold < previous.zero_threshold:
        return True
    zero_count, threshold, _ = zero_bucket_up_to(previous, current.zero_threshold)
    if threshold != current.zero_threshold or current.zero_count < zero_count:
        return True
    return _side_reset(current, previous, current.positive, previous.positive) or _side_reset(
        current, previous, current.negative, previous.negative
    )


def _side_reset(
    current: FloatHistogram, previous: FloatHistogram, now: Mapping[int, float], before: Mapping[int, float]
) -> bool:
    before = reduced(before, previous.schema - current.schema)
    return any(
        index not in now or now[index] < before[index]
        for index in outside(before, current.schema, current.zero_threshold)
    )


def _custom_reset(current: FloatHistogram, previous: FloatHistogram) -> bool:
    """Whether a bucket between bounds that both have has become lower."""
    if current.custom_values == previous.custom_values:
        now: Mapping[int, float] = current.positive
        return any(index not in now or now[index] < count for index, count in previous.positive.items())
    common = common_bounds(current.custom_values, previous.custom_values)
    sums: list[dict[int, float]] = []
    for h in (current, previous):
        totals: dict[int, float] = {}
        # Without compensation, as Prometheus compares them: a rest would be lost in the comparison anyway.
        add_to_bounds((totals, {}), h.positive, h.custom_values, common)
        sums.append(totals)
    return any(sums[0].get(index, 0.0) < count for index, count in sums[1].items())
