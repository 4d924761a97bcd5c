"""Where the axes of a plot have marks, and what is written beside them. Pure."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from app.engine.histogram.floats import to_general

_PREFIXES = ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k"), (0, ""))
_SMALL = ((0, ""), (-3, "m"), (-6, "µ"), (-9, "n"))
_PLAIN = 1e-3
"""From here on a value below one is written with a point: 0.005, not 5m."""
_MOST_DECIMALS = 9
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * hours for hours in (1, 2, 3, 6, 12)),
    *(_DAY * days for days in (1, 2, 5, 10, 30, 90, 180, 365)),
)


class Mark(msgspec.Struct, frozen=True):
    """:param at: a value, or seconds since the epoch."""

    at: float
    text: str


def value_marks(low: float, high: float, most: int) -> list[Mark]:
    """Round values within the range, as far apart from each other.

    :param low, high: finite, and not the same.
    :param most: how many, about.
    """
    step = _round_up(high / most - low / most)
    if math.floor(high / step) <= math.ceil(low / step):  # one says nothing of how far it is to the next
        step = _round_up(step / 4)
    first, last = math.ceil(low / step), math.floor(high / step)
    if not 1 <= last - first <= 2 * most:  # floats next to each other, or next to 0
        return [Mark(each, to_general(each)) for each in (low, high)]
    values = [number * step for number in range(first, last + 1)]
    farthest = max(abs(low), abs(high))
    exponent, prefix = _prefix(farthest)
    decimals = max(0, exponent - math.floor(math.log10(step) + 1e-9))
    if decimals > _MOST_DECIMALS or not 1e-9 <= farthest < 1e21:
        return [Mark(value, to_general(float(f"{value:.9g}"))) for value in values]
    return [
        Mark(value, f"{value / 10.0**exponent:.{decimals}f}{prefix}" if value else "0") for value in values
    ]


def _round_up(step: float) -> float:
    """1, 2 or 5 times a power of ten; never 0."""
    if step < 1e-300:
        return 1e-300
    power = 10.0 ** math.floor(math.log10(step))
    return next((factor * power for factor in (1, 2, 5) if step <= factor * power * (1 + 1e-9)), 10 * power)


def _prefix(most: float) -> tuple[int, str]:
    """Exponent and letter."""
    for exponent, letter in _PREFIXES if most >= _PLAIN else _SMALL:
        if most >= 10.0**exponent:
            return exponent, letter
    return (0, "") if most >= _PLAIN else _SMALL[-1]


def time_marks(start: float, end: float, most: int) -> list[Mark]:
    """Round times within the range, in UTC; none where no calendar reaches.

    :param start, end: seconds since the epoch.
    :param most: how many.
    """
    apart = (end - start) / max(most, 1)
    step = next((each for each in _STEPS if each >= apart), _STEPS[-1] * math.ceil(apart / _STEPS[-1]))
    return list(_times(start, end, step))


def _times(start: float, end: float, step: int) -> Iterator[Mark]:
    for number in range(math.ceil(start / step), math.floor(end / step) + 1):
        moment = utc(number * step)
        if moment is None:
            return
        midnight = number * step % _DAY == 0
        if step >= 90 * _DAY:
            text = moment.strftime("%Y-%m-%d")
        elif midnight:
            text = moment.strftime("%m-%d")
        else:
            text = moment.strftime("%H:%M:%S" if step < _MINUTE else "%H:%M")
        yield Mark(number * step, text)


def utc(time: float) -> datetime | None:
    """None where no calendar reaches.

    :param time: seconds since the epoch.
    """
    try:
        return datetime.fromtimestamp(time, UTC)
    except (OverflowError, ValueError, OSError):
        return None
