"""`</` and `>/`."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram
from app.engine.histogram.trimming import trim
from tests.unit.engine.histogram.strategies import custom, exponential

H = FloatHistogram(count=7, sum=20, positive={0: 1, 1: 2, 2: 4})


def test_whole_buckets_go() -> None:
    lower = trim(H, 2, upper=True)
    assert (lower.positive, lower.count) == ({0: 1, 1: 2}, 3)
    assert lower.sum == pytest.approx(math.sqrt(0.5) + 2 * math.sqrt(2))
    upper = trim(H, 2, upper=False)
    assert (upper.positive, upper.count) == ({2: 4}, 4)
    assert upper.sum == pytest.approx(4 * math.sqrt(8))


def test_a_cut_bucket_keeps_a_part() -> None:
    assert trim(H, math.sqrt(8), upper=True).positive[2] == pytest.approx(2)
    assert trim(H, math.sqrt(8), upper=False).positive == {2: pytest.approx(2)}


def test_what_cuts_nothing_keeps_count_and_sum() -> None:
    assert trim(H, 4, upper=True) is H
    assert trim(H, 0.5, upper=False) is H


def test_the_last_custom_bucket_is_not_known_to_be_below_anything() -> None:
    h = FloatHistogram(schema=CUSTOM_SCHEMA, count=3, sum=30, positive={0: 1, 1: 2}, custom_values=(10,))
    assert trim(h, 1e9, upper=True).positive == {0: 1}
    assert trim(h, 20, upper=False).positive == {1: 2}
    assert trim(h, 5, upper=True).positive == {0: 0.5}


def test_a_zero_bucket_is_cut_linearly() -> None:
    h = FloatHistogram(zero_threshold=1, zero_count=4, count=4, sum=0)
    assert trim(h, 0.5, upper=True).zero_count == 3
    assert trim(h, 0.5, upper=False).zero_count == 1
    assert trim(h, -1, upper=True).zero_count == 0
    assert trim(h, 2, upper=False).zero_count == 0


@given(st.one_of(exponential(), custom()), st.floats(-1e6, 1e6))
def test_no_observations_come_to_be(h: FloatHistogram, bound: float) -> None:
    for upper in (True, False):
        kept = trim(h, bound, upper)
        assert kept.count <= h.count * (1 + 1e-12)
        for ours, theirs in ((kept.positive, h.positive), (kept.negative, h.negative)):
            assert all(0 < count <= theirs[index] for index, count in ours.items())
