import math
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.terminal.axes import time_marks, value_marks

DAY = 86_400
LATEST = 1_700_000_000
"""2023-11-14 22:13:20 UTC."""


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 2.2, ["0", "1", "2"]),
        (0, 1, ["0", "0.5", "1.0"]),
        (-3, 3, ["-2", "0", "2"]),
        (60_000_000, 210_000_000, ["100M", "150M", "200M"]),
        (0, 1500, ["0", "0.5k", "1.0k", "1.5k"]),
        (0.001, 0.0678, ["0.02", "0.04", "0.06"]),
        (0, 0.00025, ["0", "100µ", "200µ"]),
        (1_795_897_342, 1_795_897_352, ["1.795897345G", "1.795897350G"]),
        (0, 3e21, ["0", "1e+21", "2e+21", "3e+21"]),
        (0, 4e-15, ["0", "2e-15", "4e-15"]),
    ],
)
def test_values_are_round_and_have_units(low: float, high: float, texts: list[str]) -> None:
    assert [mark.text for mark in value_marks(low, high, 3)] == texts


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
@example(0.0, 2.5e-301)
def test_marks_of_any_values_are_within_and_few(one: float, other: float) -> None:
    low, high = sorted((one, other))
    if low == high:
        return
    marks = value_marks(low, high, 4)
    assert 2 <= len(marks) <= 9
    slack = max(abs(low), abs(high)) * 1e-12 + sys.float_info.min
    for mark in marks:
        assert low - slack <= mark.at <= high + slack
        assert math.isfinite(mark.at)
        assert 0 < len(mark.text) <= 24


@pytest.mark.parametrize(
    ("span", "texts"),
    [
        (10, ["22:13:10", "22:13:15", "22:13:20"]),
        (3600, ["21:30", "22:00"]),
        (DAY, ["11-14", "12:00"]),
        (10 * DAY, ["11-09", "11-14"]),
        (2 * 365 * DAY, ["2021-12-19", "2022-12-19"]),
    ],
)
def test_times_are_round(span: float, texts: list[str]) -> None:
    assert [mark.text for mark in time_marks(LATEST - span, LATEST, 3)] == texts


@pytest.mark.parametrize(("start", "end"), [(1e15, 2e15), (LATEST, LATEST), (-1e12, -1e11)])
def test_where_no_calendar_reaches_there_are_no_times(start: float, end: float) -> None:
    assert len(time_marks(start, end, 3)) <= 1
