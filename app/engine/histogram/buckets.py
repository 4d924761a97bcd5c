"""The buckets of a histogram in order, and a histogram as JSON and as text."""

from collections.abc import Iterable

import msgspec

from app.engine.histogram.floats import to_api, to_general
from app.engine.histogram.model import FloatHistogram, ResetHint


class Bucket(msgspec.Struct, frozen=True):
    """An interval and how many observations it has; the count is its own, and not cumulative."""

    lower: float
    upper: float
    lower_inclusive: bool
    upper_inclusive: bool
    count: float


_HINTS = {
    ResetHint.RESET: "reset",
    ResetHint.NOT_RESET: "not_reset",
    ResetHint.GAUGE: "gauge",
}


def positive_buckets(h: FloatHistogram) -> list[Bucket]:
    """From the lowest up, as the schema has them, even where the zero bucket overlaps."""
    custom = h.custom
    return [
        Bucket(
            lower := h.bound(index - 1),
            upper := h.bound(index),
            index == 0 if custom else lower < 0,
            custom or upper > 0,
            h.positive[index],
        )
        for index in sorted(h.positive)
    ]


def negative_buckets(h: FloatHistogram) -> list[Bucket]:
    """From zero down, as the schema has them, even where the zero bucket overlaps."""
    return [
        Bucket(
            lower := -h.bound(index),
            upper := -h.bound(index - 1),
            lower < 0,
            upper > 0,
            h.negative[index],
        )
        for index in sorted(h.negative)
    ]


def zero_bucket(h: FloatHistogram) -> Bucket:
    """The closed interval around zero."""
    return Bucket(-h.zero_threshold, h.zero_threshold, True, True, h.zero_count)


def all_buckets(h: FloatHistogram) -> list[Bucket]:
    """The populated buckets, rising. One that the zero bucket overlaps begins where that ends."""
    threshold = h.zero_threshold
    buckets = [
        msgspec.structs.replace(bucket, upper=-threshold) if 0 > bucket.upper > -threshold else bucket
        for bucket in reversed(negative_buckets(h))
    ]
    if h.zero_count > 0:
        buckets.append(zero_bucket(h))
    for bucket in positive_buckets(h):
        if 0 < bucket.lower < threshold:
            bucket = msgspec.structs.replace(bucket, lower=threshold)
        elif 0 > bucket.upper > -threshold:
            bucket = msgspec.structs.replace(bucket, upper=-threshold)
        buckets.append(bucket)
    return buckets


def to_json(h: FloatHistogram) -> dict[str, object]:
    """The object of Prometheus's HTTP API: numbers are strings.

    A bucket is `[boundaries, lower, upper, count]`, with boundaries 0: the upper belongs to it, 1: the lower,
    2: neither, 3: both. Without populated buckets there is no `buckets`.
    """
    found: dict[str, object] = {"count": to_api(h.count), "sum": to_api(h.sum)}
    buckets = [
        [_boundaries(bucket), to_api(bucket.lower), to_api(bucket.upper), to_api(bucket.count)]
        for bucket in all_buckets(h)
    ]
    if buckets:
        found["buckets"] = buckets
    return found


def _boundaries(bucket: Bucket) -> int:
    if bucket.lower_inclusive:
        return 3 if bucket.upper_inclusive else 1
    return 0 if bucket.upper_inclusive else 2


def to_text(h: FloatHistogram) -> str:
    """As in the text of a query's result: `{count:3, sum:4.5, (1,2]:3}`."""
    buckets = negative_buckets(h)[::-1]
    if h.zero_count != 0:
        buckets.append(zero_bucket(h))
    parts = [f"count:{to_general(h.count)}", f"sum:{to_general(h.sum)}"]
    parts += [_text(bucket) for bucket in (*buckets, *positive_buckets(h))]
    return "{" + ", ".join(parts) + "}"


def _text(bucket: Bucket) -> str:
    before, after = "[" if bucket.lower_inclusive else "(", "]" if bucket.upper_inclusive else ")"
    lower, upper = to_general(bucket.lower), to_general(bucket.upper)
    return f"{before}{lower},{upper}{after}:{to_general(bucket.count)}"


def to_test_text(h: FloatHistogram) -> str:
    """As promtool's tests of rules write a histogram: `{{schema:1 count:3 sum:4.5 buckets:[1 0 2]}}`."""
    parts = [f"schema:{h.schema}"] if h.schema else []
    for name, value in (
        ("count", h.count),
        ("sum", h.sum),
        ("z_bucket", h.zero_count),
        ("z_bucket_w", h.zero_threshold),
    ):
        if value != 0:
            parts.append(f"{name}:{to_general(value)}")
    if h.custom:
        parts.append(f"custom_values:{_listed(h.custom_values)}")
    if h.reset_hint in _HINTS:
        parts.append(f"counter_reset_hint:{_HINTS[h.reset_hint]}")
    for prefix, buckets in (("", h.positive), ("n_", h.negative)):
        if buckets:
            first, last = min(buckets), max(buckets)
            if first:
                parts.append(f"{prefix}offset:{first}")
            counts = (buckets.get(index, 0.0) for index in range(first, last + 1))
            parts.append(f"{prefix}buckets:{_listed(counts)}")
    return "{{" + " ".join(parts) + "}}"


def _listed(values: Iterable[float]) -> str:
    return "[" + " ".join(map(to_general, values)) + "]"
