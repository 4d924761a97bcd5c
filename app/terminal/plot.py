"""Series drawn with braille: each character has two by four dots. Pure."""

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

Points = Sequence[tuple[float, float]]
"""Seconds since the epoch and value, by time."""

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character: rows, columns."""
_BRAILLE = 0x2800


class Drawing(msgspec.Struct, frozen=True):
    """
    :param cells: rows of (character, number of the series drawn last, -1 where there is none).
    :param low, high: what the lowest and the highest dot stand for.
    """

    cells: list[list[tuple[str, int]]]
    low: float
    high: float


def drawn(series: Sequence[Points], start: float, end: float, width: int, height: int) -> Drawing | None:
    """A drawing of what is finite; None where nothing is.

    Points next to each other are connected, but not over more than twice the usual distance: a gap is shown.

    :param start, end: seconds since the epoch, at the left and the right.
    :param width, height: characters.
    """
    finite = [[point for point in points if math.isfinite(point[1])] for points in series]
    bounds = extent(finite)
    if bounds is None:
        return None
    low, high = bounds
    canvas = _Canvas(width, height)
    span = (end - start) or 1.0

    def place(time: float, value: float) -> tuple[int, int]:
        x = round((time - start) / span * (canvas.columns - 1))
        y = round((1 - share(value, low, high)) * (canvas.rows - 1))
        return max(0, min(canvas.columns - 1, x)), y

    for number, points in enumerate(finite):
        usual = _usual(points)
        for index, (time, value) in enumerate(points):
            here = place(time, value)
            if index and time - points[index - 1][0] <= 2 * usual:
                canvas.line(place(*points[index - 1]), here, number)
            else:
                canvas.dot(*here, number)
    return Drawing(canvas.cells(), low, high)


def extent(series: Sequence[Points]) -> tuple[float, float] | None:
    """What the lowest and the highest dot of a drawing stand for; None where nothing is finite."""
    values = [value for points in series for _, value in points if math.isfinite(value)]
    if not values:
        return None
    low, high = min(values), max(values)
    if low == high:
        return low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    return low, high


def share(value: float, low: float, high: float) -> float:
    """How far up it is, from 0 at `low` to 1 at `high`."""
    # Of halves, since the distance of the largest floats is infinite.
    return (value / 2 - low / 2) / (high / 2 - low / 2)


def _usual(points: Points) -> float:
    """The distance that points usually have: the median."""
    distances = sorted(later[0] - earlier[0] for earlier, later in pairwise(points))
    return distances[len(distances) // 2] if distances else 0.0


class _Canvas:
    """Mutable: the dots that are set."""

    def __init__(self, width: int, height: int) -> None:
        self.columns, self.rows = 2 * width, 4 * height
        self._bits = [[0] * width for _ in range(height)]
        self._owner = [[-1] * width for _ in range(height)]

    def dot(self, x: int, y: int, number: int) -> None:
        self._bits[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
        self._owner[y // 4][x // 2] = number

    def line(self, begin: tuple[int, int], end: tuple[int, int], number: int) -> None:
        steps = max(abs(end[0] - begin[0]), abs(end[1] - begin[1]), 1)
        for step in range(steps + 1):
            x = round(begin[0] + (end[0] - begin[0]) * step / steps)
            y = round(begin[1] + (end[1] - begin[1]) * step / steps)
            self.dot(x, y, number)

    def cells(self) -> list[list[tuple[str, int]]]:
        return [
            [(chr(_BRAILLE + bits) if bits else " ", owner) for bits, owner in zip(line, owners, strict=True)]
            for line, owners in zip(self._bits, self._owner, strict=True)
        ]
