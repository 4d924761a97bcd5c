"""A histogram's buckets in order, as JSON and as text."""

import math
from itertools import pairwise

from hypothesis import given

from app.engine.histogram.buckets import all_buckets, to_json, to_test_text, to_text
from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, ResetHint
from tests.unit.engine.histogram.strategies import exponential

H = FloatHistogram(
    zero_threshold=0.25, zero_count=3, count=42, sum=34593.34, positive={-1: 12, 0: 21, 2: 6}, negative={1: 1}
)


def test_json() -> None:
    assert to_json(H) == {
        "count": "42",
        "sum": "34593.34",
        "buckets": [
            [1, "-2", "-1", "1"],
            [3, "-0.25", "0.25", "3"],
            [0, "0.25", "0.5", "12"],
            [0, "0.5", "1", "21"],
            [0, "2", "4", "6"],
        ],
    }


def test_json_without_buckets() -> None:
    assert to_json(FloatHistogram(sum=math.nan)) == {"count": "0", "sum": "NaN"}


def test_json_of_custom_bounds_includes_minus_infinity() -> None:
    h = FloatHistogram(schema=CUSTOM_SCHEMA, count=3, positive={0: 1, 1: 2}, custom_values=(5,))
    assert to_json(h)["buckets"] == [[3, "-Inf", "5", "1"], [0, "5", "+Inf", "2"]]


def test_a_bucket_the_zero_bucket_overlaps_begins_after_it() -> None:
    h = FloatHistogram(zero_threshold=1.5, zero_count=1, count=3, positive={1: 1}, negative={1: 1})
    assert [(b.lower, b.upper) for b in all_buckets(h)] == [(-2, -1.5), (-1.5, 1.5), (1.5, 2)]


def test_text() -> None:
    assert (
        to_text(H)
        == "{count:42, sum:34593.34, [-2,-1):1, [-0.25,0.25]:3, (0.25,0.5]:12, (0.5,1]:21, (2,4]:6}"
    )
    assert to_text(FloatHistogram()) == "{count:0, sum:0}"


def test_the_text_of_rule_tests() -> None:
    assert (
        to_test_text(H) == "{{count:42 sum:34593.34 z_bucket:3 z_bucket_w:0.25 offset:-1 buckets:[12 21 0 6] "
        "n_offset:1 n_buckets:[1]}}"
    )
    h = FloatHistogram(
        schema=CUSTOM_SCHEMA, count=3, positive={0: 3}, custom_values=(5, 10), reset_hint=ResetHint.GAUGE
    )
    assert (
        to_test_text(h) == "{{schema:-53 count:3 custom_values:[5 10] counter_reset_hint:gauge buckets:[3]}}"
    )


@given(exponential())
def test_buckets_rise_and_hold_every_observation(h: FloatHistogram) -> None:
    buckets = all_buckets(h)
    assert sum(bucket.count for bucket in buckets) == h.count
    assert all(a.upper <= b.lower for a, b in pairwise(buckets))
