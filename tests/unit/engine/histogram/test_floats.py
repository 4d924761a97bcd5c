"""Floats as Go computes and prints them; all expected values are Go's."""

import math

import pytest

from app.engine.histogram.floats import close, divide, exp2, increment, log2, to_api, to_general


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (3.0, "3"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-6, "0.000001"),
        (9.5e-7, "9.5e-07"),
        (2.0**-24, "5.960464477539063e-08"),
        (123456789.125, "123456789.125"),
        (1.5e-300, "1.5e-300"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_floats_of_the_api(value: float, text: str) -> None:
    assert to_api(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (100000.0, "100000"),
        (1e6, "1e+06"),
        (1234567.0, "1.234567e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-(2.0**-24), "-5.960464477539063e-08"),
        (1e21, "1e+21"),
        (math.inf, "+Inf"),
    ],
)
def test_floats_of_texts(value: float, text: str) -> None:
    assert to_general(value) == text


def test_logarithms_are_exact_at_powers_of_two_and_inverse() -> None:
    for exponent in (-1074, -1, 0, 1, 1023):
        assert log2(math.ldexp(1, exponent)) == exponent
        assert exp2(exponent) == math.ldexp(1, exponent)
    for value in (1e-300, 0.3, 0.7, 3.3, 12345.678, 1e300):
        assert log2(value) == pytest.approx(math.log2(value), rel=1e-15)
        assert exp2(log2(value)) == pytest.approx(value, rel=1e-12)


def test_logarithms_outside_of_their_range() -> None:
    assert log2(0.0) == -math.inf
    assert math.isnan(log2(-1.0))
    assert log2(math.inf) == math.inf
    assert exp2(1024) == math.inf
    assert exp2(-1075) == 0
    assert math.isnan(exp2(math.nan))


def test_division_never_fails() -> None:
    assert divide(1, 0.0) == math.inf
    assert divide(1, -0.0) == -math.inf
    assert divide(-1, 0.0) == -math.inf
    assert math.isnan(divide(0, 0))
    assert math.isnan(divide(math.nan, 0))


def test_compensation() -> None:
    assert increment(1.0, 1e100, 0.0) == (1e100, 1.0)
    assert increment(1e100, 1.0, 0.0) == (1e100, 1.0)
    assert increment(math.inf, 1.0, 0.5) == (math.inf, 0.0)


def test_closeness() -> None:
    assert close(1.0, 1.0 + 1e-13, 1e-12)
    assert not close(1.0, 1.1, 1e-12)
    assert close(math.nan, math.nan, 1e-12)
    assert not close(math.nan, 1.0, 1e-12)
    assert not close(0.0, 1e-300, 1e-12)
    assert close(math.inf, math.inf, 1e-12)
