"""Classic histograms, whose cumulative buckets can be out of order."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.histogram.classic import bucket_fraction, bucket_quantile

BUCKETS = [(0.2, 3.0), (0.1, 1.0), (math.inf, 4.0), (0.4, 4.0)]


def test_quantiles_are_interpolated_linearly() -> None:
    assert bucket_quantile(0.5, BUCKETS).value == pytest.approx(0.15)
    assert bucket_quantile(0.125, BUCKETS).value == pytest.approx(0.05)
    assert bucket_quantile(1, [(1, 1), (math.inf, 5)]).value == 1


def test_a_lowest_bucket_up_to_zero_has_no_beginning() -> None:
    assert bucket_quantile(0.1, [(-1, 2), (math.inf, 4)]).value == -1


@pytest.mark.parametrize("buckets", [[], [(1.0, 5.0)], [(math.inf, 5.0)], [(1.0, 0.0), (math.inf, 0.0)]])
def test_buckets_that_tell_nothing(buckets: list[tuple[float, float]]) -> None:
    assert math.isnan(bucket_quantile(0.5, buckets).value)
    if buckets != [(math.inf, 5.0)]:
        assert math.isnan(bucket_fraction(0, 1, buckets))


def test_quantiles_outside_of_zero_and_one() -> None:
    assert bucket_quantile(-1, BUCKETS).value == -math.inf
    assert bucket_quantile(2, BUCKETS).value == math.inf
    assert math.isnan(bucket_quantile(math.nan, BUCKETS).value)


def test_bounds_written_in_two_ways_are_one_bucket() -> None:
    found = bucket_quantile(0.5, [(1, 1), (1.0, 1), (math.inf, 2)])
    assert found.value == 0.5


def test_falling_counts_are_forced_and_said() -> None:
    found = bucket_quantile(0.5, [(1, 10), (2, 7), (3, 4), (4, 12), (math.inf, 12)])
    assert found.forced_monotonic
    assert not found.fixed_precision
    assert (found.min_bucket, found.max_bucket, found.max_diff) == (2, 3, 6)
    assert found.value == pytest.approx(0.6)


def test_rounding_is_repaired_in_silence() -> None:
    found = bucket_quantile(0.5, [(1, 10.0), (2, 10.0 - 1e-13), (math.inf, 10.0)])
    assert found.fixed_precision
    assert not found.forced_monotonic


def test_fractions() -> None:
    assert bucket_fraction(0.1, 0.2, BUCKETS) == 0.5
    assert bucket_fraction(-math.inf, math.inf, BUCKETS) == 1
    assert bucket_fraction(0.05, 0.1, BUCKETS) == pytest.approx(0.125)
    assert bucket_fraction(1, 0, BUCKETS) == 0
    assert bucket_fraction(-math.inf, -1, [(-1, 2), (math.inf, 4)]) == 0.5
    assert math.isnan(bucket_fraction(math.nan, 1, BUCKETS))


@given(
    st.lists(st.tuples(st.integers(-10, 10).map(float), st.integers(0, 100).map(float)), max_size=8),
    st.floats(0, 1),
)
def test_a_quantile_lies_in_the_finite_buckets(buckets: list[tuple[float, float]], q: float) -> None:
    found = bucket_quantile(q, [*buckets, (math.inf, 1000.0)]).value
    if buckets and found == found:
        assert min(0.0, *(bound for bound, _ in buckets)) <= found <= max(0.0, *(b for b, _ in buckets))
