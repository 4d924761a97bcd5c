"""Classic histograms as native ones with bounds of their own."""

import math

import pytest

from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram
from app.engine.model import Labels
from tests.promqltest.classic import Value, custom_histograms
from tests.promqltest.description import series


def converted(*lines: str) -> dict[Labels, dict[int, Value]]:
    """With one millisecond between the points."""
    loaded: dict[Labels, dict[int, Value]] = {}
    for line in lines:
        labels, points = series(line)
        loaded[labels] = {at: point.value for at, point in enumerate(points) if point.value is not None}
    return custom_histograms(loaded)


def one(*lines: str) -> FloatHistogram:
    ((found,),) = (values.values() for values in converted(*lines).values())
    assert isinstance(found, FloatHistogram)
    return found


def test_buckets_count_and_sum() -> None:
    found = converted(
        'm_bucket{job="j",le="1"} 1 2',
        'm_bucket{job="j",le="+Inf"} 6 7',
        'm_bucket{job="j",le="0.5"} 0 2',
        'm_count{job="j"} 6 7',
        'm_sum{job="j"} 9 10',
        "other 1",
    )
    bounds = (0.5, 1.0)
    assert found == {
        (("__name__", "m"), ("job", "j")): {
            0: FloatHistogram(CUSTOM_SCHEMA, 0.0, 0.0, 6.0, 9.0, {1: 1.0, 2: 5.0}, {}, bounds),
            1: FloatHistogram(CUSTOM_SCHEMA, 0.0, 0.0, 7.0, 10.0, {0: 2.0, 2: 5.0}, {}, bounds),
        }
    }


def test_without_a_count_the_highest_bucket_tells_it() -> None:
    found = one('m_bucket{le="1"} 1', 'm_bucket{le="2"} 4')
    assert (found.count, found.custom_values, found.positive) == (4.0, (1.0, 2.0), {0: 1.0, 1: 3.0})


def test_without_an_infinite_bucket_the_count_tells_it() -> None:
    found = one('m_bucket{le="1"} 1', "m_count 4")
    assert (found.custom_values, found.positive) == ((1.0,), {0: 1.0, 1: 3.0})


def test_a_count_alone() -> None:
    found = one("m_count 4", "m_sum 2")
    assert (found.count, found.sum, found.custom_values, found.positive) == (4.0, 2.0, (), {0: 4.0})


def test_labels_keep_histograms_apart() -> None:
    found = converted('m_bucket{a="1",le="+Inf"} 1', 'm_bucket{a="2",le="+Inf"} 1', 'n_count{a="1"} 1')
    assert sorted(found) == [
        (("__name__", "m"), ("a", "1")),
        (("__name__", "m"), ("a", "2")),
        (("__name__", "n"), ("a", "1")),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "m 1",
        "count 1",
        "bucket 1",
        "m_created 1",
        'm_bucket{le="wide"} 1',
        'm_bucket{le="NaN"} 1',
        "m_sum {{}}",
    ],
)
def test_left_alone(line: str) -> None:
    assert not converted(line)


def test_a_gap_or_a_staleness_marker_is_passed_over() -> None:
    found = converted('m_bucket{le="+Inf"} 1 _ stale 4')
    assert list(found[(("__name__", "m"),)]) == [0, 3]


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (("m_bucket 1",), "has no label le"),
        (('m_bucket{le="1"} 3', 'm_bucket{le="2"} 2'), "buckets are cumulative"),
        (('m_bucket{le="1"} -1',), "buckets are cumulative"),
        (('m_bucket{le="+Inf"} 3', "m_count 4"), "the last bucket has 3.0, the count is 4.0"),
        (('m_bucket{le="1"} 3', "m_count 2"), "buckets are cumulative"),
    ],
)
def test_refused(lines: tuple[str, ...], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        converted(*lines)


def test_bounds_need_not_come_in_order() -> None:
    found = one('m_bucket{le="10"} 5', 'm_bucket{le="-1"} 1', 'm_bucket{le="2"} 1.5')
    assert found.custom_values == (-1.0, 2.0, 10.0)
    assert found.positive == {0: 1.0, 1: 0.5, 2: 3.5}
    assert math.isclose(found.count, 5.0)
