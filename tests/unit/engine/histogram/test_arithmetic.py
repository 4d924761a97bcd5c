"""Histograms of one layout and of different ones, added, subtracted, scaled and compared."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.histogram.arithmetic import (
    Notes,
    add,
    almost_equal,
    detect_reset,
    div,
    equals,
    mul,
    negate,
    sub,
)
from app.engine.histogram.layout import at_schema
from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, HistogramMismatch, ResetHint
from tests.unit.engine.histogram.strategies import alike, custom, exponential


def _observations(h: FloatHistogram) -> float:
    return h.zero_count + sum(h.positive.values()) + sum(h.negative.values())


def test_a_lower_resolution_merges_neighbours() -> None:
    fine = FloatHistogram(schema=1, count=10, positive={-1: 1, 0: 2, 1: 3, 2: 4})
    # (2**-1, 2**0] is index 0 of schema 0, and indexes -1 and 0 of schema 1.
    assert at_schema(fine, 0).positive == {0: 3, 1: 7}
    total, notes = add(fine, FloatHistogram(schema=0, count=5, positive={1: 5}))
    assert (total.schema, total.positive, total.count) == (0, {0: 3, 1: 12}, 15)
    assert notes == Notes()


def test_a_wider_zero_bucket_swallows_buckets_up_to_the_end_of_one_it_cuts() -> None:
    a = FloatHistogram(zero_threshold=0.5, zero_count=1, count=15, positive={0: 2, 1: 4, 2: 8})
    b = FloatHistogram(zero_threshold=1.5, zero_count=10, count=10)
    total, _ = add(a, b)
    assert total.zero_threshold == 2
    assert total.zero_count == 1 + 2 + 4 + 10
    assert total.positive == {2: 8}


def test_an_empty_bucket_that_the_zero_bucket_cuts_does_not_widen_it() -> None:
    a = FloatHistogram(zero_threshold=0.5, zero_count=1, count=9, positive={2: 8})
    total, _ = add(a, FloatHistogram(zero_threshold=1.5, zero_count=10, count=10))
    assert (total.zero_threshold, total.zero_count, total.positive) == (1.5, 11, {2: 8})


def test_a_cut_negative_bucket_widens_the_positive_side_too() -> None:
    a = FloatHistogram(count=3, positive={1: 1}, negative={2: 2})
    total, _ = add(a, FloatHistogram(zero_threshold=3.0, zero_count=1, count=1))
    assert (total.zero_threshold, total.zero_count, total.positive, total.negative) == (4, 4, {}, {})


def test_a_zero_threshold_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="zero threshold"):
        add(FloatHistogram(), FloatHistogram(zero_threshold=math.nan))
    assert detect_reset(FloatHistogram(zero_threshold=math.nan), FloatHistogram(positive={1: 1}))


def test_different_custom_bounds_meet_at_those_both_have() -> None:
    a = FloatHistogram(
        schema=CUSTOM_SCHEMA, count=10, positive={0: 1, 1: 2, 2: 3, 3: 4}, custom_values=(1, 2, 3)
    )
    b = FloatHistogram(schema=CUSTOM_SCHEMA, count=6, positive={0: 1, 1: 2, 2: 3}, custom_values=(2, 4))
    total, notes = add(a, b)
    assert total.custom_values == (2.0,)
    assert total.positive == {0: 1 + 2 + 1, 1: 3 + 4 + 2 + 3}
    assert notes.bounds_reconciled
    difference, notes = sub(a, b)
    assert difference.positive == {0: 2, 1: 2}
    assert notes.bounds_reconciled


def test_custom_bounds_and_exponential_schemas_do_not_mix() -> None:
    with pytest.raises(HistogramMismatch):
        add(FloatHistogram(), FloatHistogram(schema=CUSTOM_SCHEMA))
    with pytest.raises(HistogramMismatch):
        sub(FloatHistogram(schema=CUSTOM_SCHEMA), FloatHistogram())


@pytest.mark.parametrize(
    ("a", "b", "joint", "collision"),
    [
        (ResetHint.RESET, ResetHint.RESET, ResetHint.RESET, False),
        (ResetHint.GAUGE, ResetHint.RESET, ResetHint.GAUGE, False),
        (ResetHint.NOT_RESET, ResetHint.GAUGE, ResetHint.GAUGE, False),
        (ResetHint.UNKNOWN, ResetHint.NOT_RESET, ResetHint.UNKNOWN, False),
        (ResetHint.RESET, ResetHint.UNKNOWN, ResetHint.UNKNOWN, False),
        (ResetHint.RESET, ResetHint.NOT_RESET, ResetHint.UNKNOWN, True),
        (ResetHint.NOT_RESET, ResetHint.RESET, ResetHint.UNKNOWN, True),
    ],
)
def test_hints_join(a: ResetHint, b: ResetHint, joint: ResetHint, collision: bool) -> None:
    total, notes = add(FloatHistogram(reset_hint=a), FloatHistogram(reset_hint=b))
    assert (total.reset_hint, notes.reset_collision) == (joint, collision)


def test_scaling() -> None:
    h = FloatHistogram(zero_count=2, count=6, sum=-3, positive={1: 4}, reset_hint=ResetHint.RESET)
    doubled = mul(h, 2)
    assert (doubled.zero_count, doubled.count, doubled.sum, doubled.positive) == (4, 12, -6, {1: 8})
    assert doubled.reset_hint is ResetHint.RESET
    assert negate(h).positive == {1: -4}
    assert negate(h).reset_hint is ResetHint.GAUGE
    assert mul(h, 0).positive == {}
    nothing = div(h, 0)
    assert (nothing.zero_count, nothing.count, nothing.sum, nothing.positive) == (
        math.inf,
        math.inf,
        -math.inf,
        {},
    )


def test_equality_is_of_bits_and_not_of_hints() -> None:
    h = FloatHistogram(count=1, sum=math.nan, positive={3: 1})
    assert equals(h, msgspec.structs.replace(h, reset_hint=ResetHint.GAUGE))
    assert not equals(h, msgspec.structs.replace(h, positive={3: 1, 4: math.nan}))
    assert not equals(FloatHistogram(sum=0.0), FloatHistogram(sum=-0.0))


def test_almost_equal_allows_rounding_and_no_other_layout() -> None:
    h = FloatHistogram(count=1, sum=0.3, positive={3: 1})
    assert almost_equal(h, msgspec.structs.replace(h, sum=0.1 + 0.2, positive={3: 1 + 1e-9}))
    assert not almost_equal(h, msgspec.structs.replace(h, positive={3: 1.1}))
    assert not almost_equal(h, msgspec.structs.replace(h, positive={4: 1}))


@pytest.mark.parametrize(
    "change",
    [
        {"count": 9.0},
        {"positive": {1: 4.0}},
        {"positive": {1: 3.0, 2: 5.0}},
        {"zero_count": 0.0},
        {"zero_threshold": 0.25},
        {"schema": 2},
        # Half of (1, 2] would be in the new zero bucket.
        {"zero_threshold": 1.2, "zero_count": 50.0},
        {"reset_hint": ResetHint.RESET},
    ],
)
def test_resets(change: dict[str, object]) -> None:
    previous = FloatHistogram(schema=1, zero_threshold=0.5, zero_count=1, count=10, positive={1: 4.0, 2: 5.0})
    assert detect_reset(msgspec.structs.replace(previous, **change), previous)
    hinted = {"reset_hint": ResetHint.NOT_RESET, **change}
    assert detect_reset(msgspec.structs.replace(previous, **hinted), previous) is (
        hinted["reset_hint"] is ResetHint.RESET
    )


def test_a_custom_bucket_between_common_bounds_that_fell_is_a_reset() -> None:
    previous = FloatHistogram(schema=CUSTOM_SCHEMA, count=6, positive={0: 2, 1: 4}, custom_values=(1, 2))
    current = FloatHistogram(schema=CUSTOM_SCHEMA, count=6, positive={0: 3, 1: 3}, custom_values=(2, 3))
    assert detect_reset(current, previous)
    assert not detect_reset(msgspec.structs.replace(current, positive={0: 6}), previous)


@given(alike())
def test_a_sum_of_one_resolution_loses_no_observation(pair: tuple[FloatHistogram, FloatHistogram]) -> None:
    a, b = pair
    total, _ = add(a, b)
    assert total.count == _observations(total) == a.count + b.count
    assert total.zero_threshold >= max(a.zero_threshold, b.zero_threshold)
    assert equals(total, add(b, a)[0])


@given(custom(), custom())
def test_a_sum_of_custom_histograms_loses_no_observation(a: FloatHistogram, b: FloatHistogram) -> None:
    total, notes = add(a, b)
    assert total.count == _observations(total) == a.count + b.count
    assert set(total.custom_values) == set(a.custom_values) & set(b.custom_values)
    assert notes.bounds_reconciled is (a.custom_values != b.custom_values)


@given(alike(one_zero_bucket=True))
def test_what_was_added_is_no_reset(pair: tuple[FloatHistogram, FloatHistogram]) -> None:
    a, b = pair
    total, _ = add(a, b)
    assert not detect_reset(msgspec.structs.replace(total, reset_hint=ResetHint.UNKNOWN), a)
    assert equals(sub(total, b)[0], a)


@given(exponential(), st.integers(0, 12))
def test_a_lower_resolution_loses_no_observation(h: FloatHistogram, steps: int) -> None:
    lower = at_schema(h, max(-4, h.schema - steps))
    assert _observations(lower) == _observations(h)
