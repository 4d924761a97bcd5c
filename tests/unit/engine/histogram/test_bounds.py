"""Where buckets end; the numbers are of Prometheus's TestGetBoundExponential."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, exponential_bound


@pytest.mark.parametrize(
    ("schema", "index", "bound"),
    [
        (-1, -1, 0.25),
        (-1, 0, 1),
        (-1, 1, 4),
        (-1, 512, sys.float_info.max),
        (-1, 513, math.inf),
        (0, -1, 0.5),
        (0, 0, 1),
        (0, 1, 2),
        (0, 1024, sys.float_info.max),
        (0, 1025, math.inf),
        (0, -1074, 5e-324),
        (0, -1075, 0),
        (2, -1, 0.8408964152537144),
        (2, 0, 1),
        (2, 1, 1.189207115002721),
        (2, 4096, sys.float_info.max),
        (2, 4097, math.inf),
        (1, 1, 1.414213562373095),
        (8, 255, 1.9945921121709396),
    ],
)
def test_bounds(schema: int, index: int, bound: float) -> None:
    assert exponential_bound(index, schema) == bound


@given(st.integers(-4, 8), st.integers(-2000, 2000))
def test_bounds_rise_and_are_those_of_every_higher_resolution(schema: int, index: int) -> None:
    bound = exponential_bound(index, schema)
    assert exponential_bound(index - 1, schema) <= bound
    if schema < 8:
        assert exponential_bound(2 * index, schema + 1) == bound


def test_custom_buckets_reach_from_minus_infinity_to_infinity() -> None:
    h = FloatHistogram(schema=CUSTOM_SCHEMA, custom_values=(1.0, 2.5))
    assert [h.bound(index) for index in range(-1, 3)] == [-math.inf, 1.0, 2.5, math.inf]
