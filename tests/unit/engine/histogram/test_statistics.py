"""Quantiles, fractions, mean and variance; the numbers are of Prometheus's native_histograms.test."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram
from app.engine.histogram.statistics import (
    NanObservations,
    average,
    deviation,
    fraction,
    quantile,
    variance,
)
from tests.unit.engine.histogram.strategies import exponential

SINGLE = FloatHistogram(schema=0, sum=5, count=4, positive={0: 1, 1: 2, 2: 1})
CUSTOM = FloatHistogram(
    schema=CUSTOM_SCHEMA, sum=5, count=4, positive={0: 1, 1: 2, 3: 1}, custom_values=(5, 10, 15)
)


def test_the_middle_of_a_bucket_is_geometric() -> None:
    assert quantile(0.5, SINGLE)[0] == pytest.approx(2**0.5)
    assert fraction(1, 2**0.5, SINGLE)[0] == pytest.approx(0.25)
    assert average(SINGLE) == 1.25


def test_a_zero_bucket_begins_at_zero_where_nothing_is_negative() -> None:
    h = FloatHistogram(zero_threshold=0.001, zero_count=2, count=12, sum=100, positive={1: 10})
    assert quantile(1 / 12, h)[0] == pytest.approx(0.0005)
    both = FloatHistogram(
        zero_threshold=0.001, zero_count=2, count=13, sum=100, positive={1: 10}, negative={1: 1}
    )
    assert quantile(2 / 13, both)[0] == pytest.approx(0, abs=1e-12)


def test_custom_buckets_are_interpolated_linearly() -> None:
    assert quantile(0.5, CUSTOM) == (7.5, None)
    # The first bucket begins at zero, as it ends above it; the last one ends where it begins.
    assert quantile(0.125, CUSTOM) == (2.5, None)
    assert quantile(1, CUSTOM) == (15.0, None)
    assert fraction(-math.inf, 7.5, CUSTOM) == (0.5, None)


@pytest.mark.parametrize(
    ("q", "expected"), [(-0.1, -math.inf), (1.1, math.inf), (math.nan, math.nan), (1, 4.0), (0, 0.5)]
)
def test_special_quantiles(q: float, expected: float) -> None:
    assert quantile(q, SINGLE)[0] == pytest.approx(expected, nan_ok=True)


def test_nothing_is_known_without_observations() -> None:
    empty = FloatHistogram()
    assert math.isnan(quantile(0.5, empty)[0])
    assert math.isnan(fraction(0, 1, empty)[0])
    assert math.isnan(average(empty))
    assert math.isnan(variance(empty))
    assert math.isnan(deviation(empty))


def test_observations_of_nan_are_said() -> None:
    h = FloatHistogram(count=6, sum=math.nan, positive={0: 1, 1: 2, 2: 1})
    value, note = quantile(0.9, h)
    assert math.isnan(value)
    assert note is NanObservations.RESULT_IS_NAN
    assert quantile(0.5, h)[1] is NanObservations.SKEWED_HIGHER
    assert fraction(-math.inf, math.inf, h) == (4 / 6, NanObservations.EXCLUDED)


def test_a_fraction_of_nothing_is_zero() -> None:
    assert fraction(2, 1, SINGLE) == (0.0, None)
    assert math.isnan(fraction(math.nan, 1, SINGLE)[0])


def test_variance_takes_observations_for_the_middles_of_their_buckets() -> None:
    h = FloatHistogram(count=2, sum=0, positive={1: 1}, negative={1: 1})
    assert variance(h) == pytest.approx(2)
    assert deviation(h) == pytest.approx(2**0.5)


@given(exponential(), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_rise(h: FloatHistogram, a: float, b: float) -> None:
    assume(h.count > 0)
    low, high = sorted((a, b))
    first, second = quantile(low, h)[0], quantile(high, h)[0]
    assert first <= second or first == pytest.approx(second)


@given(exponential(), st.floats(0.001, 0.999))
def test_a_fraction_is_the_inverse_of_a_quantile(h: FloatHistogram, q: float) -> None:
    assume(h.count > 0)
    assume(h.zero_threshold > 0 or not h.zero_count)
    value = quantile(q, h)[0]
    below = fraction(-math.inf, math.nextafter(value, -math.inf), h)[0]
    up_to = fraction(-math.inf, math.nextafter(value, math.inf), h)[0]
    assert below - 1e-6 <= q <= up_to + 1e-6
