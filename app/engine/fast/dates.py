"""Parts of dates, in UTC, of values that are seconds since the epoch."""

import numpy as np
from numpy.typing import NDArray

from app.engine.fast.grid import Grid, Values

_LIMIT = 1e15
"""Seconds on either side of the epoch between which dates are reckoned."""


def date_part(func: str, grid: Grid) -> Grid:
    """The values of `grid` replaced; what is no time becomes the part of some date, as in Prometheus."""
    seconds = np.where(np.abs(grid.values) < _LIMIT, grid.values, 0).astype(np.int64)
    return grid.with_values(_part(func, seconds.astype("datetime64[s]")))


def _part(func: str, moments: NDArray[np.datetime64]) -> Values:
    days = moments.astype("datetime64[D]")
    months = moments.astype("datetime64[M]")
    years = moments.astype("datetime64[Y]")
    match func:
        case "minute":
            part = (moments - moments.astype("datetime64[h]")).astype(np.int64) // 60
        case "hour":
            part = (moments - days).astype(np.int64) // 3600
        case "day_of_week":
            part = (days.astype(np.int64) + 4) % 7
        case "day_of_month":
            part = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
        case "day_of_year":
            part = (days - years.astype("datetime64[D]")).astype(np.int64) + 1
        case "days_in_month":
            part = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
        case "month":
            part = months.astype(np.int64) % 12 + 1
        case _:
            part = years.astype(np.int64) + 1970
    return np.asarray(part, np.float64)
