from typing import Any

import pytest

from app.errors import ConfigError
from app.terminal.times import question

NOW = 1_700_000_000.25


def asked(**given: Any) -> tuple[int, int, int]:
    found = question("up", now=NOW, **given)
    return found.start, found.end, found.step


@pytest.mark.parametrize(
    ("given", "times"),
    [
        ({}, (1_700_000_000_250, 1_700_000_000_250, 0)),
        ({"time": "2023-11-14T22:13:20Z"}, (1_700_000_000_000, 1_700_000_000_000, 0)),
        ({"time": "1700000000.5"}, (1_700_000_000_500, 1_700_000_000_500, 0)),
        ({"since": 3600.0}, (1_699_996_400_250, 1_700_000_000_250, 14_000)),
        ({"since": 60.0, "end": "1700000000"}, (1_699_999_940_000, 1_700_000_000_000, 1000)),
        (
            {"start": "1699999990", "end": "1700000000", "step": "500ms"},
            (1_699_999_990_000, 1_700_000_000_000, 500),
        ),
        ({"start": "1699999990", "step": "2"}, (1_699_999_990_000, 1_700_000_000_250, 2000)),
    ],
)
def test_times(given: dict[str, Any], times: tuple[int, int, int]) -> None:
    assert asked(**given) == times


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        ({"time": "tomorrow"}, ["--time"]),
        ({"time": "1", "since": 5.0}, ["--time"]),
        ({"start": "x", "end": "y", "step": "z"}, ["--end", "--start", "--step"]),
        ({"start": "1", "since": 5.0, "timeout": 0.0}, ["--since", "--timeout"]),
        ({"step": "1m"}, ["--step"]),
        ({"end": "1"}, ["--end"]),
        ({"start": "2", "end": "1"}, ["--end"]),
        ({"since": 60.0, "step": "0"}, ["--step"]),
        ({"since": 60.0, "step": "-1"}, ["--step"]),
        ({"since": 86400.0, "step": "1s"}, ["--step"]),
    ],
)
def test_all_faults_are_named(given: dict[str, Any], flags: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        asked(**given)
    assert sorted(problem.where for problem in caught.value.problems) == flags
