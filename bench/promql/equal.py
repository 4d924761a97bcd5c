"""Whether two answers of the API say the same."""

from typing import Any

import msgspec
import numpy as np

TOLERANCE = 1e-9
"""Relative: sums in another order differ by less."""
SELDOM, ROUGHLY = 0.005, 0.1
"""So many of the values of a series may differ, by so much: where a window begins with a gap right after a
counter was reset, Prometheus 2.42 extrapolates its rate to another point than 3.0 and we do."""
_SHOWN = 500


class Differ(Exception):
    """They do not; its times would mean nothing."""


class _Row(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []
    value: tuple[float, str] | None = None

    def key(self) -> tuple[tuple[str, str], ...]:
        return tuple(sorted(self.metric.items()))

    def points(self) -> list[tuple[float, str]]:
        return self.values if self.value is None else [self.value]


def result_of(body: bytes) -> bytes:
    """The `result` of an answer as it was written.

    :raises Differ: it is no answer, or one with warnings.
    """
    marker = b'"result":['
    begin, end = body.find(marker), body.rfind(b"]") + 1
    if begin < 0 or b'"warnings"' in body[-4096:]:
        raise Differ((body[:_SHOWN] + b" ... " + body[-_SHOWN:]).decode(errors="replace"))
    return body[begin + len(marker) - 1 : end]


def check(name: str, expected: bytes, found: bytes) -> bool:
    """Whether the results are the same to the byte.

    :raises Differ: series or times differ, or values by more than the tolerance.
    """
    left, right = result_of(expected), result_of(found)
    if left == right:
        return True
    rows = [
        {row.key(): row.points() for row in msgspec.json.decode(each, type=list[_Row])}
        for each in (left, right)
    ]
    if rows[0].keys() != rows[1].keys():
        odd = list(rows[0].keys() ^ rows[1].keys())
        raise Differ(f"{name}: {len(rows[0])} and {len(rows[1])} series, not in both: {odd[:3]}")
    if not rows[0]:
        raise Differ(f"{name}: the answer is empty")
    for key, points in rows[0].items():
        others = rows[1][key]
        if [time for time, _ in points] != [time for time, _ in others]:
            raise Differ(f"{name}: {key}: {len(points)} and {len(others)} points, or at other times")
        _check_values(f"{name}: {key}", points, others)
    return False


def _check_values(name: str, points: Any, others: Any) -> None:
    left, right = (np.array([float(text) for _, text in each]) for each in (points, others))
    odd = np.flatnonzero(~np.isclose(left, right, rtol=TOLERANCE, atol=0.0, equal_nan=True))
    near = np.allclose(left, right, rtol=ROUGHLY, atol=0.0, equal_nan=True)
    if odd.size > len(left) * SELDOM or not near:
        at = int(odd[0])
        raise Differ(f"{name}: {odd.size} values differ, the first at {points[at]}: {others[at]}")
