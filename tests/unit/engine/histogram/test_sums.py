"""Sums of many histograms keep what rounding takes from plain ones."""

import math

import pytest

from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, HistogramMismatch, ResetHint
from app.engine.histogram.sums import HistogramMean, HistogramSum


def _h(count: float, hint: ResetHint = ResetHint.UNKNOWN) -> FloatHistogram:
    return FloatHistogram(count=count, sum=count, positive={1: count}, reset_hint=hint)


def test_a_sum_keeps_what_rounding_takes() -> None:
    total = HistogramSum(_h(1e100))
    for value in (1.0, -1e100):
        total.add(_h(value))
    assert total.result().positive == {1: 1.0}
    assert total.result().count == 1.0


def test_a_mean_outlives_the_overflow_of_its_sum() -> None:
    mean = HistogramMean(_h(1.5e308))
    mean.add(_h(1.3e308))
    mean.add(_h(1.4e308))
    assert mean.result().count == pytest.approx(1.4e308)
    assert math.isfinite(mean.result().positive[1])


def test_one_histogram_is_its_own_mean() -> None:
    h = _h(3)
    assert HistogramSum(h).result() == h
    assert HistogramMean(h).result() == h


def test_hints_collide_whatever_is_between_them() -> None:
    total = HistogramSum(_h(1, ResetHint.RESET))
    total.add(_h(1))
    assert not total.notes.reset_collision
    total.add(_h(1, ResetHint.NOT_RESET))
    assert total.notes.reset_collision


def test_reconciled_bounds_are_said() -> None:
    total = HistogramMean(
        FloatHistogram(schema=CUSTOM_SCHEMA, count=1, positive={0: 1}, custom_values=(1, 2))
    )
    total.add(FloatHistogram(schema=CUSTOM_SCHEMA, count=3, positive={0: 3}, custom_values=(2,)))
    assert total.notes.bounds_reconciled
    assert total.result().positive == {0: 2}


def test_custom_bounds_and_exponential_schemas_do_not_mix() -> None:
    for kind in (HistogramSum, HistogramMean):
        with pytest.raises(HistogramMismatch):
            kind(_h(1)).add(FloatHistogram(schema=CUSTOM_SCHEMA))
