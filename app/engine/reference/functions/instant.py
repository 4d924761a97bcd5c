"""Functions of single values: mathematics and dates."""

import math
from collections.abc import Callable

import numpy as np

from app.engine.reference.numbers import larger, quiet, smaller

MIN_INT64 = -(2**63)
_FIRST_INSTANT = -9_223_372_028_741_760_000
"""Where Go's calendar begins; what is before comes, by overflow, after its end. The smallest number does."""


def _sign(value: float) -> float:
    return 1.0 if value > 0 else -1.0 if value < 0 else value


MATHEMATICS: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "acos": quiet(np.arccos),
    "acosh": quiet(np.arccosh),
    "asin": quiet(np.arcsin),
    "asinh": quiet(np.arcsinh),
    "atan": quiet(np.arctan),
    "atanh": quiet(np.arctanh),
    "ceil": quiet(np.ceil),
    "cos": quiet(np.cos),
    "cosh": quiet(np.cosh),
    "deg": lambda value: value * 180 / math.pi,
    "exp": quiet(np.exp),
    "floor": quiet(np.floor),
    "ln": quiet(np.log),
    "log10": quiet(np.log10),
    "log2": quiet(np.log2),
    "rad": lambda value: value * math.pi / 180,
    "sgn": _sign,
    "sin": quiet(np.sin),
    "sinh": quiet(np.sinh),
    "sqrt": quiet(np.sqrt),
    "tan": quiet(np.tan),
    "tanh": quiet(np.tanh),
}

_round = quiet(lambda value, nearest: np.floor(value * (1.0 / nearest) + 0.5) / (1.0 / nearest))


def rounded(value: float, nearest: float) -> float:
    """To a multiple of `nearest`; halves go up."""
    return _round(value, nearest)


def clamped(value: float, low: float, high: float) -> float:
    return larger(low, smaller(high, value))


# -- dates, in UTC and the Gregorian calendar


def _seconds(value: float) -> int:
    """As a machine converts a float to 64 bits: what does not fit becomes the smallest number."""
    seconds = int(value) if abs(value) < 2.0**63 else MIN_INT64
    return seconds if seconds >= _FIRST_INSTANT else seconds + 2**64


def _civil(seconds: int) -> tuple[int, int, int]:
    """Year, month and day (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms")."""
    days = seconds // 86_400 + 719_468
    era, of_era = divmod(days, 146_097)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_in_month(seconds: int) -> int:
    year, month, _ = _civil(seconds)
    if month == 2:
        return 29 if _leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _day_of_year(seconds: int) -> int:
    year, month, day = _civil(seconds)
    before = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)[month - 1]
    return before + day + (month > 2 and _leap(year))


_DATES: dict[str, Callable[[int], int]] = {
    "days_in_month": _days_in_month,
    "day_of_month": lambda seconds: _civil(seconds)[2],
    "day_of_week": lambda seconds: (seconds // 86_400 + 4) % 7,
    "day_of_year": _day_of_year,
    "hour": lambda seconds: seconds // 3_600 % 24,
    "minute": lambda seconds: seconds // 60 % 60,
    "month": lambda seconds: _civil(seconds)[1],
    "year": lambda seconds: _civil(seconds)[0],
}
DATES = frozenset(_DATES)


def date_part(name: str, value: float) -> float:
    """:param value: seconds since the epoch."""
    return float(_DATES[name](_seconds(value)))
