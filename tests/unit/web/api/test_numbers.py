"""Numbers as Prometheus writes them, against a twin that calculates with decimals."""

import json
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.web.api.encoding import float_points, number, plain_number, timestamp


def fewest_digits(value: float) -> Decimal:
    """The decimal of fewest digits that reads back as `value`, found by trying; of several the
    nearest, of two that are as near the even one."""
    exact = Decimal(value)
    for digits in range(1, 18):
        last = Decimal(1).scaleb(exact.adjusted() - digits + 1)
        with localcontext() as context:
            context.prec = 800
            floor = (exact // last) * last
            found = [each for each in (floor, floor + last) if float(each) == value]
            if found:
                return min(found, key=lambda each: (abs(each - exact), each / last % 2))
    raise AssertionError("17 digits are enough for any float")


def twin(value: float) -> str:
    """The fewest digits that mean `value`, put down by the rules of Go's formats f and e."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return sign + "0"
    shortest = fewest_digits(abs(value))
    exponent, figures = shortest.adjusted(), "".join(map(str, shortest.normalize().as_tuple().digits))
    if abs(value) < 1e-6 or abs(value) >= 1e21:
        fraction = "." + figures[1:] if len(figures) > 1 else ""
        return f"{sign}{figures[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{figures}"
    whole, fraction = figures[: exponent + 1].ljust(exponent + 1, "0"), figures[exponent + 1 :]
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


@given(st.floats())
@example(1e-6)
@example(math.nextafter(1e-6, 0))
@example(1e21)
@example(math.nextafter(1e21, 0))
@example(5e-324)
@example(2.0**-24)
@example(562949953421312.75)
@example(1.7976931348623157e308)
def test_any_float_is_written_as_the_twin_does(value: float) -> None:
    assert number(value) == twin(value)


@given(st.floats(min_value=1e-7, max_value=1e22) | st.integers(-(2**70), 2**70).map(float))
def test_floats_around_the_bounds_of_the_exponent(value: float) -> None:
    assert number(value) == twin(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (1.5e-10, "1.5e-10"),
        (0.000001, "0.000001"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (-1.25e100, "-1.25e+100"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1e-7, "0.0000001"), (1e22, "1" + "0" * 22), (math.inf, "+Inf"), (-0.0, "-0")]
)
def test_scalars_never_have_an_exponent(value: float, text: str) -> None:
    assert plain_number(value) == text


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "0"),
        (1000, "1"),
        (1500, "1.500"),
        (1001, "1.001"),
        (-1, "-0.001"),
        (-1500, "-1.500"),
        (1435781451781, "1435781451.781"),
    ],
)
def test_timestamps(time: int, text: str) -> None:
    assert timestamp(time) == text


@given(st.integers(-(2**53), 2**53))
def test_timestamps_mean_the_time(time: int) -> None:
    assert Decimal(timestamp(time)) == Decimal(time) / 1000


@given(st.lists(st.tuples(st.integers(0, 2**42), st.floats(allow_nan=False)), min_size=1))
def test_points_are_what_json_reads_back(points: list[tuple[int, float]]) -> None:
    times, values = np.array([time for time, _ in points]), np.array([value for _, value in points])
    read = json.loads(b"[" + float_points(times, values) + b"]")
    assert [(round(time * 1000), float(value)) for time, value in read] == points
