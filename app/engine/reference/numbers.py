"""Arithmetic as Go and IEEE 754 have it, where Python would raise instead of giving infinity or NaN."""

import math
from collections.abc import Callable, Sequence

import numpy as np

NAN = math.nan


def quiet(function: Callable[..., float]) -> Callable[..., float]:
    """A numpy function of floats that gives NaN and infinities without a word."""

    def called(*args: float) -> float:
        with np.errstate(all="ignore"):
            return float(function(*map(np.float64, args)))

    return called


divide = quiet(np.divide)
power = quiet(np.power)
modulo = quiet(np.fmod)
atan2 = quiet(np.arctan2)


def larger(x: float, y: float) -> float:
    """Of two, infinity even against NaN, NaN against everything else, zero against -0 (Go's `math.Max`)."""
    if math.inf in (x, y):
        return math.inf
    if math.isnan(x) or math.isnan(y):
        return NAN
    return x + y if x == y == 0 else max(x, y)


def smaller(x: float, y: float) -> float:
    return -larger(-x, -y)


def kahan(value: float, total: float, compensation: float) -> tuple[float, float]:
    """One step of a sum with Neumaier's compensation: the new total and compensation."""
    new = total + value
    if math.isinf(new):
        return new, 0.0
    if abs(total) >= abs(value):
        return new, compensation + ((total - new) + value)
    return new, compensation + ((value - new) + total)


def total(values: Sequence[float]) -> float:
    """A compensated sum."""
    found = compensation = 0.0
    for value in values:
        found, compensation = kahan(value, found, compensation)
    return found if math.isinf(found) else found + compensation


def mean(values: Sequence[float]) -> float:
    """A compensated mean; incremental from where the sum would overflow."""
    found, compensation, running = values[0], 0.0, False
    for count, value in enumerate(values[1:], 2):
        if not running:
            new, left = kahan(value, found, compensation)
            if not math.isinf(new):
                found, compensation = new, left
                continue
            running = True
            found, compensation = found / (count - 1), compensation / (count - 1)
        share = (count - 1) / count
        found, compensation = kahan(value / count, share * found, share * compensation)
    return found + compensation if running else found / len(values) + compensation / len(values)


def variance_over_time(values: Sequence[float]) -> float:
    """Population variance, compensated (Welford)."""
    average = c_average = aux = c_aux = 0.0
    for count, value in enumerate(values, 1):
        delta = value - (average + c_average)
        average, c_average = kahan(delta / count, average, c_average)
        aux, c_aux = kahan(delta * (value - (average + c_average)), aux, c_aux)
    return (aux + c_aux) / len(values)


def quantile(q: float, values: Sequence[float]) -> float:
    """Linear between the two nearest ranks; NaN counts as smallest."""
    if not values or math.isnan(q):
        return NAN
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = q * (len(ordered) - 1)
    lower = max(0, math.floor(rank))
    upper = min(len(ordered) - 1, lower + 1)
    weight = rank - math.floor(rank)
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def regression(points: Sequence[tuple[int, float]], at: int) -> tuple[float, float]:
    """Least squares: the slope a second, and the value at `at` (milliseconds)."""
    first = points[0][1]
    if all(value == first for _, value in points[1:]):
        return (NAN, NAN) if math.isinf(first) else (0.0, first)
    sums = [(0.0, 0.0)] * 4
    for time, value in points:
        x = (time - at) / 1000
        sums = [kahan(each, *sums[place]) for place, each in enumerate((x, value, x * value, x * x))]
    count = float(len(points))
    sum_x, sum_y, sum_xy, sum_x2 = (value + compensation for value, compensation in sums)
    slope = divide(sum_xy - sum_x * sum_y / count, sum_x2 - sum_x * sum_x / count)
    return slope, sum_y / count - slope * sum_x / count


def go_g(value: float) -> str:
    """As Go's ``%g`` writes it, for annotations."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    mantissa, _, exponent = str(np.format_float_scientific(value, trim="-")).partition("e")
    if value and not -4 <= int(exponent) < 6:
        return f"{mantissa}e{'-' if int(exponent) < 0 else '+'}{abs(int(exponent)):02d}"
    return str(np.format_float_positional(value, trim="-"))
