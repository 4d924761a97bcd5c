"""Deduplication as Thanos tests it: pkg/dedup/iter_test.go, its numbers.

Two of its cases hold only where a cursor may go back, as the double there does; chunks are read forward.
"""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from app.engine import kernels
from tests.unit.engine.select import twins
from tests.unit.engine.select.twins import NO_FLOATS, NO_PICKS, Sample


def _folded(
    replicas: Sequence[Sequence[Sample]], *, counter: bool = False, chain: bool = False
) -> list[Sample]:
    merged = list(replicas[0])
    for replica in replicas[1:]:
        a, va = np.array([time for time, _ in merged], np.int64), np.array([value for _, value in merged])
        b, vb = np.array([time for time, _ in replica], np.int64), np.array([value for _, value in replica])
        times, values = np.empty(len(a) + len(b), np.int64), np.empty(len(a) + len(b))
        if chain:
            count = kernels.chain_merge(a, va, len(a), b, vb, len(b), times, values, NO_PICKS)
        else:
            count = kernels.penalty_merge(
                a, va, len(a), b, vb, len(b), counter, NO_FLOATS, NO_FLOATS, times, values, NO_PICKS
            )
        merged = twins.zipped(times[:count], values[:count])
    return merged


EARLY, MIDDLE, LATE = (
    [(10_000, 1.0), (20_000, 2.0)],
    [(60_000, 3.0), (70_000, 4.0)],
    [(200_000, 5.0), (210_000, 6.0)],
)


def test_a_negative_zero_stays_one() -> None:
    for chain in (False, True):
        merged = _folded([[(10_000, -0.0)], [(10_000, -0.0), (20_000, -0.0)]], chain=chain)
        assert [math.copysign(1, value) for _, value in merged] == [-1] * len(merged)


@pytest.mark.parametrize(
    ("replicas", "wanted"),
    [
        ([EARLY, MIDDLE, LATE, EARLY], [*EARLY, *MIDDLE, *LATE]),
        ([EARLY, MIDDLE], [*EARLY, *MIDDLE]),
        ([EARLY], EARLY),
    ],
)
def test_sets(replicas: list[list[Sample]], wanted: list[Sample]) -> None:
    assert _folded(replicas) == wanted == twins.penalty_all(replicas)


FIRST = [
    (time, float(value))
    for time, value in zip(
        (10_000, 20_000, 50_001, 60_000, 70_000, 80_000, 90_000, 100_000), range(8, 16), strict=True
    )
]
SECOND = [(10_001, 8.0), (45_001, 8.5), (55_001, 9.5), (65_001, 10.5)]


@pytest.mark.parametrize(
    ("counter", "values"), [(True, [8, 9, 9, 10, 11, 14, 15]), (False, [8, 9, 8.5, 9.5, 10.5, 14, 15])]
)
def test_issue_2401_with_a_double_that_goes_back(counter: bool, values: list[float]) -> None:
    times = (10_000, 20_000, 45_001, 55_001, 65_001, 90_000, 100_000)
    got = twins.penalty_all([FIRST, SECOND], counter=counter, back=True)
    assert got == list(zip(times, values, strict=True))


@pytest.mark.parametrize("counter", [True, False])
def test_issue_2401_read_forward(counter: bool) -> None:
    got = _folded([FIRST, SECOND], counter=counter)
    assert got == twins.penalty_all([FIRST, SECOND], counter=counter)
    if counter:
        assert [value for _, value in got] == sorted(value for _, value in got)


def test_after_a_gap_of_both_the_first_one_back_is_followed() -> None:
    """What its real data for issue 2401 show: the replica scraped 1.3 s later is back 13 s earlier, with a
    counter that is a little behind."""
    before = [10_000 + 15_000 * at for at in range(40)]
    back = before[-1] + 75_000
    later = [back + 15_000 * at for at in range(40)]
    first = [(time, 462_000.0 + 10 * at) for at, time in enumerate([*before, *later])]
    behind = [
        *((time + 1_348, value + 1) for time, value in first[:39]),
        *((time - 13_652, value - 30) for time, value in first[40:]),
    ]
    got = _folded([first, behind], counter=True)
    assert got == twins.penalty_all([first, behind], counter=True)
    raised = first[39][1] - behind[39][1]
    assert raised > 0
    assert got == [*first[:40], *((time, value + raised) for time, value in behind[39:])]


def _at(*samples: tuple[int, float]) -> list[Sample]:
    return list(samples)


@pytest.mark.parametrize(
    ("replicas", "wanted"),
    [
        (
            [_at((10_000, 1), (20_000, 2), (30_000, 3)), _at((10_000, 1), (20_000, 2), (30_000, 3))],
            _at((10_000, 1), (20_000, 2), (30_000, 3)),
        ),
        (
            [_at((10_000, 1), (30_000, 3)), _at((10_000, 1), (20_000, 2), (30_000, 3))],
            _at((10_000, 1), (20_000, 2), (30_000, 3)),
        ),
        (
            [_at((10_000, 101), (20_000, 102)), _at((10_000, 101), (30_000, 103))],
            _at((10_000, 101), (20_000, 102), (30_000, 103)),
        ),
        ([_at((1, 1)), _at((1, 2), (2, 2)), _at((2, 3), (3, 3))], _at((1, 1), (2, 2), (3, 3))),
    ],
)
def test_chains(replicas: list[list[Sample]], wanted: list[Sample]) -> None:
    assert _folded(replicas, chain=True) == wanted == twins.chain(replicas)


_SPANS = {
    "none": ([], []),
    "one after the other": ([(0, 20), (21, 100), (110, 300)], [[0, 1, 2]]),
    "two replicas": ([(0, 20), (0, 30), (21, 50), (31, 60), (100, 160)], [[0, 2, 4], [1, 3]]),
    "by one millisecond": ([(50, 55), (55, 100)], [[0], [1]]),
    "four replicas": (
        [(0, 20), (0, 30), (1, 15), (2, 36), (16, 200), (21, 50), (31, 60), (100, 160)],
        [[0, 5, 7], [1, 6], [2, 4], [3]],
    ),
}


@pytest.mark.parametrize(("spans", "wanted"), list(_SPANS.values()), ids=list(_SPANS))
def test_overlapping_chunks_are_split_into_lanes(
    spans: list[tuple[int, int]], wanted: list[list[int]]
) -> None:
    """Its TestOverlapSplitSet; the chunks of each lane by their positions."""
    count = len(spans)
    table = np.zeros((count, kernels.CHUNK_COLUMNS), np.int64)
    table[:, [kernels.MIN_TIME, kernels.MAX_TIME]] = np.array(spans, np.int64).reshape(count, 2)
    table[:, kernels.START] = np.arange(count)
    table[:, kernels.LENGTH] = 1
    lanes, bounds, order = np.empty(2, np.int64), np.empty(count + 1, np.int64), np.empty(count, np.int64)
    scratch = [np.empty(count, np.int64) for _ in range(4)]
    kept = kernels.split(
        np.arange(count, dtype=np.uint8), table, np.array([0, count]), np.array([0]), np.array([0, 1]), 1,
        True, lanes, bounds, order, *scratch, np.zeros(1, np.uint8),
    )  # fmt: skip
    assert kept == count
    assert lanes.tolist() == [0, len(wanted)]
    got = [order[bounds[lane] : bounds[lane + 1]].tolist() for lane in range(len(wanted))]
    assert got == wanted
