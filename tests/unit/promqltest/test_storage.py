"""The storage that files are loaded into."""

import math

import pytest

from app.engine.histogram.model import FloatHistogram, ResetHint
from app.engine.model import Series, Storage, is_stale
from app.engine.promql.ast import Matcher
from tests.promqltest.description import series
from tests.promqltest.script import Load
from tests.promqltest.storage import MemoryStorage

MINUTE = 60_000
ALL = [Matcher("=~", "__name__", ".+")]


def load(*lines: str, interval: int = MINUTE) -> Load:
    return Load(interval, dict(series(line) for line in lines))


def stored(*lines: str) -> MemoryStorage:
    storage = MemoryStorage()
    storage.load(load(*lines))
    return storage


def names(storage: Storage, *matchers: Matcher) -> list[str]:
    return [dict(each.labels).get("a", "") for each in storage.select(matchers, 0, 10 * MINUTE)]


def only(storage: Storage, start: int = 0, end: int = 100 * MINUTE) -> Series:
    (found,) = storage.select(ALL, start, end)
    return found


def test_series_are_sorted_by_labels() -> None:
    found = stored('m{a="z"} 1', 'm{a="b"} 1', "m 1", 'l{a="c"} 1').select(ALL, 0, 0)
    assert [each.labels for each in found] == sorted(each.labels for each in found)
    assert len(found) == 4


def test_samples_are_cut_to_both_ends_inclusive() -> None:
    storage = stored("m 0 1 2 3 4")
    found = only(storage, MINUTE, 3 * MINUTE)
    assert found.times.tolist() == [MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert found.values.tolist() == [1.0, 2.0, 3.0]
    assert only(storage, MINUTE + 1, 3 * MINUTE - 1).values.tolist() == [2.0]


def test_a_series_without_samples_in_the_range_is_none() -> None:
    storage = stored("m 1 _ _ 2")
    assert not storage.select(ALL, 1, 2 * MINUTE)
    assert not stored("m _x3").select(ALL, 0, 10 * MINUTE)


@pytest.mark.parametrize(
    ("matcher", "selected"),
    [
        (Matcher("=", "a", "x"), ["x"]),
        (Matcher("!=", "a", "x"), ["", "x\ny", "xy"]),
        (Matcher("=~", "a", "x"), ["x"]),
        (Matcher("=~", "a", "x.y"), ["x\ny"]),
        (Matcher("=~", "a", "x.*"), ["x", "x\ny", "xy"]),
        (Matcher("!~", "a", "x.+"), ["", "x"]),
        (Matcher("=", "a", ""), [""]),
        (Matcher("=~", "a", "|x"), ["", "x"]),
        (Matcher("=~", "a", r"\pL"), ["x"]),
    ],
)
def test_matchers(matcher: Matcher, selected: list[str]) -> None:
    storage = stored("m 1", 'm{a="x"} 1', 'm{a="xy"} 1', 'm{a="x\\ny"} 1')
    assert sorted(names(storage, matcher)) == selected


def test_all_matchers_must_match() -> None:
    storage = stored('m{a="x",b="1"} 1', 'm{a="y",b="2"} 1')
    assert names(storage, Matcher("=~", "a", "x|y"), Matcher("=", "b", "2")) == ["y"]


def test_loading_adds() -> None:
    storage = stored("m 1 _ 3")
    assert len(only(storage).times) == 2
    storage.load(load("m _ 2", "n 1"))
    first, second = storage.select(ALL, 0, 10 * MINUTE)
    assert first.values.tolist() == [1.0, 2.0, 3.0]
    assert second.values.tolist() == [1.0]


def test_the_same_again_is_no_contradiction() -> None:
    storage = stored("m 1 NaN stale {{count:1}}")
    storage.load(load("m 1 NaN stale {{count:1}}"))
    assert len(only(storage).times) == 4


@pytest.mark.parametrize("line", ["m 2", "m _ stale", "m _ _ {{count:2}}", "m _ _ 1"])
def test_another_value_at_the_same_place_is_an_error(line: str) -> None:
    storage = stored("m 1 NaN {{count:1}}")
    with pytest.raises(ValueError, match=r"has .* at .*, not "):
        storage.load(load(line))


def test_histograms_stand_at_their_places() -> None:
    found = only(stored("m 5 {{count:1 sum:7}} stale {{count:2 sum:8}}"), MINUTE)
    assert found.values[0] == 7.0
    assert is_stale(float(found.values[1]))
    assert found.values[2] == 8.0
    assert {place: value.count for place, value in found.histograms.items()} == {0: 1.0, 2: 2.0}


@pytest.mark.parametrize(
    ("sequence", "hints"),
    [
        ("{{count:1}} {{count:2}} {{count:2}}", ["unknown", "not_reset", "not_reset"]),
        ("{{count:2}} {{count:1}} {{count:1}}", ["unknown", "unknown", "not_reset"]),
        ("{{count:1}} _ {{count:2}}", ["unknown", "not_reset"]),
        ("{{count:1}} stale {{count:2}}", ["unknown", "unknown"]),
        ("{{count:1}} 5 {{count:2}}", ["unknown", "unknown"]),
        ("{{count:1}} {{schema:1 count:2}}", ["unknown", "unknown"]),
        ("{{count:1}} {{count:2 z_bucket_w:1}}", ["unknown", "unknown"]),
        ("{{count:1}} {{count:2 counter_reset_hint:reset}}", ["unknown", "unknown"]),
        ("{{count:1 counter_reset_hint:not_reset}}", ["unknown"]),
        ("{{count:1}} {{count:2 counter_reset_hint:gauge}} {{count:3}}", ["unknown", "gauge", "unknown"]),
    ],
)
def test_hints_are_those_of_chunks(sequence: str, hints: list[str]) -> None:
    found = only(stored(f"m {sequence}"))
    assert [value.reset_hint for _, value in sorted(found.histograms.items())] == [
        ResetHint(hint) for hint in hints
    ]


def test_values_are_floats() -> None:
    found = only(stored("m 1 NaN"))
    assert not found.histograms
    assert math.isnan(found.values[1])
    assert not isinstance(found.values[0], FloatHistogram)
