"""Parts of dates, in UTC and the Gregorian calendar, of values in seconds since the epoch."""

import numpy as np
from numpy.typing import NDArray

from app.engine.fast.context import Context
from app.engine.fast.grid import Grid, Values

Whole = NDArray[np.int64]

_LIMIT = 2.0**63
_DAY = 86_400
_FIRST_INSTANT = -9_223_372_028_741_760_000
"""Where Go's calendar begins; what is before comes, by overflow, after its end. The smallest number does."""
_DAYS_OF_OVERFLOW, _REST_OF_OVERFLOW = divmod(2**64, _DAY)
_DAYS_BEFORE = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], np.int64)
_DAYS_OF = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)


def date_part(context: Context, func: str, grid: Grid) -> Grid:
    """The values of `grid` replaced. What is no time counts as the smallest one, as processors convert it."""

    def of(values: Values) -> Whole:
        fits = np.abs(values) < _LIMIT
        seconds = np.where(fits, values, 0).astype(np.int64)
        seconds[~fits] = np.iinfo(np.int64).min
        return _part(func, seconds)

    return grid.with_values(context.mapped(of, grid.values))


def _part(func: str, seconds: Whole) -> Whole:
    late = seconds < _FIRST_INSTANT
    days, of_day = np.divmod(seconds + late * _REST_OF_OVERFLOW, _DAY)
    days += late * _DAYS_OF_OVERFLOW
    match func:
        case "minute":
            return np.asarray(of_day // 60 % 60)
        case "hour":
            return np.asarray(of_day // 3_600)
        case "day_of_week":
            return np.asarray((days + 4) % 7)
    year, month, day = _civil(days)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    match func:
        case "day_of_month":
            return day
        case "day_of_year":
            return np.asarray(_DAYS_BEFORE[month - 1] + day + ((month > 2) & leap))
        case "days_in_month":
            return np.asarray(_DAYS_OF[month - 1] + ((month == 2) & leap))
        case "month":
            return month
        case _:
            return year


def _civil(days: Whole) -> tuple[Whole, Whole, Whole]:
    """Year, month and day of so many days since the epoch.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": eras of 400 years that begin with
    a March, so that the odd day is a year's last.
    """
    days = days + 719_468
    era, of_era = days // 146_097, days % 146_097
    years = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * years + years // 4 - years // 100)
    shifted = (5 * of_year + 2) // 153
    month = np.where(shifted < 10, shifted + 3, shifted - 9)
    return years + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1
