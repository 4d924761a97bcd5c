"""The kernels that make samples, against their twins."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.demo import xor
from app.engine import kernels
from app.engine.model import STALE
from tests.unit.engine.select import twins
from tests.unit.engine.select.twins import NO_FLOATS, Sample

CANCEL = np.zeros(1, np.uint8)

_values = st.one_of(
    st.floats(), st.integers(-3, 3).map(float), st.sampled_from([math.nan, STALE, math.inf, -0.0, 1e300])
)
_gaps = st.one_of(
    st.integers(1, 3),
    st.sampled_from([5000, 10_000, 15_000, 8193, 131_000, 2**20, 2**33]),
    st.integers(1, 2**40),
)


@st.composite
def _samples(draw: st.DrawFn, most: int = 12) -> list[Sample]:
    time = draw(st.integers(-(2**41), 2**41))
    found = []
    for gap in draw(st.lists(_gaps, max_size=most)):
        time += gap
        found.append((time, draw(_values)))
    return found


@st.composite
def _scrapes(draw: st.DrawFn) -> list[Sample]:
    """Near each other, so that replicas meet; resets among them."""
    time, value = draw(st.integers(0, 20_000)), 0.0
    found = []
    for _ in range(draw(st.integers(0, 14))):
        time += draw(st.sampled_from([1, 5_000, 9_990, 10_000, 10_000, 10_000, 10_010, 20_000, 60_000]))
        value = draw(st.sampled_from([value, value + 1, value + 1, value + 2, value + 2, 0.0, math.nan]))
        value = value if value == value else draw(st.sampled_from([0.0, math.nan]))
        found.append((time, value))
    return found


def _decoded(lanes: Sequence[Sequence[bytes]], start: int, end: int, mode: int) -> list[Sample]:
    """One series through `count_samples` and `decode_rows`."""
    chunks = [chunk for lane in lanes for chunk in lane]
    data, offset = twins.padded(*chunks)
    sizes = [0, *np.cumsum([len(lane) for lane in lanes]).tolist()]
    table = (
        data,
        np.array([0, len(lanes)]),
        np.array(sizes, np.int64),
        np.array(offset, np.int64),
        np.array([len(chunk) for chunk in chunks], np.int64),
    )
    counts = np.empty(1, np.int64)
    done, code = kernels.count_samples(*table, 0, 1, counts, CANCEL)
    assert (done, code) == (1, 0)
    room = int(counts[0])
    times, values, ends = np.empty(room, np.int64), np.empty(room), np.empty(1, np.int64)
    spares = np.empty((2, room), np.int64), np.empty((2, room))
    done, code = kernels.decode_rows(*table, 0, 1, start, end, mode, times, values, ends, *spares, CANCEL)
    assert (done, code) == (1, 0)
    return twins.zipped(times[: ends[0]], values[: ends[0]])


@settings(max_examples=300, deadline=None)
@given(found=st.lists(_samples(), max_size=3), data=st.data())
def test_a_lane_is_decoded_as_the_twin_does(found: list[list[Sample]], data: st.DataObject) -> None:
    chunks = [xor.encode(samples) for samples in found if samples]
    moments = [time for samples in found for time, _ in samples] + [-(2**63), 2**63 - 1]
    start = data.draw(st.sampled_from(moments)) + data.draw(st.integers(0, 1))
    end = data.draw(st.sampled_from(moments)) - data.draw(st.integers(0, 1))
    start, end = min(start, 2**63 - 1), max(end, -(2**63))
    got = _decoded([chunks], start, end, kernels.PENALTY)
    assert twins.same(got) == twins.same(twins.bounded(chunks, start, end))


@settings(max_examples=400, deadline=None)
@given(replicas=st.lists(_scrapes(), min_size=1, max_size=4), mode=st.sampled_from([0, 1, 2]))
def test_replicas_are_merged_as_the_twins_do(replicas: list[list[Sample]], mode: int) -> None:
    lanes = [[xor.encode(samples)] if samples else [b"\0\0"] for samples in replicas]
    got = _decoded(lanes, -(2**62), 2**62, mode)
    wanted = replicas[0]
    if len(replicas) > 1 and mode == kernels.CHAIN:
        wanted = twins.chain(replicas)
    elif len(replicas) > 1:
        counter = mode == kernels.PENALTY_COUNTER
        prepared = [twins.running_total(samples) if counter else samples for samples in replicas]
        wanted = twins.penalty_all(prepared, counter=counter)
    assert twins.same(got) == twins.same(wanted)


def _merged(first: Sequence[Sample], second: Sequence[Sample]) -> list[Sample]:
    arrays = []
    for samples in (first, second):
        arrays += [
            np.array([time for time, _ in samples], np.int64),
            np.array([value for _, value in samples]),
        ]
    room = len(first) + len(second)
    times, values, picks = np.empty(room, np.int64), np.empty(room), np.empty(room, np.int64)
    a, va, b, vb = arrays
    count = kernels.penalty_merge(
        a, va, len(a), b, vb, len(b), False, NO_FLOATS, NO_FLOATS, times, values, picks
    )
    for pick, time in zip(picks[:count].tolist(), times[:count].tolist(), strict=True):
        assert time == (first[pick][0] if pick >= 0 else second[~pick][0])
    return twins.zipped(times[:count], values[:count])


def _at(value: float, *times: int) -> list[Sample]:
    return [(time, value) for time in times]


THANOS_PAIRS = [
    (  # the first is preferred
        [(10_000, 10), (20_000, 11), (30_000, 12), (40_000, 13)],
        [(10_000, 20), (20_000, 21), (30_000, 22), (40_000, 23)],
        [(10_000, 10), (20_000, 11), (30_000, 12), (40_000, 13)],
    ),
    (  # unless the second begins earlier
        _at(1, 10_100, 20_100, 30_100, 40_100),
        _at(2, 10_000, 20_000, 30_000, 40_000),
        _at(2, 10_000, 20_000, 30_000, 40_000),
    ),
    (  # one missing sample is no reason to change
        _at(1, 10_000, 20_000, 40_000),
        _at(2, 10_000, 20_000, 30_000, 40_000),
        _at(1, 10_000, 20_000, 40_000),
    ),
    (
        _at(1, 10_000, 20_000, 40_000),
        _at(2, 15_000, 25_000, 35_000, 45_000),
        _at(1, 10_000, 20_000, 40_000),
    ),
    (  # a larger gap is
        _at(1, 10_000, 20_000, 30_000, 60_000, 70_000),
        _at(2, 10_100, 20_100, 30_100, 40_100, 50_100, 60_100),
        [*_at(1, 10_000, 20_000, 30_000), *_at(2, 50_100, 60_100)],
    ),
]
"""pkg/dedup/iter_test.go, TestDedupSeriesIterator."""


@pytest.mark.parametrize(("first", "second", "wanted"), THANOS_PAIRS)
def test_thanos_pairs(first: list[Sample], second: list[Sample], wanted: list[Sample]) -> None:
    assert _merged(first, second) == wanted == twins.penalty(first, second)


def test_a_damaged_chunk_is_refused_and_not_read_past_its_end() -> None:
    whole = xor.encode([(1000 * number, number / 7) for number in range(40)])
    for cut in range(len(whole)):
        data, _ = twins.padded(whole[:cut])
        times, values = np.empty(64, np.int64), np.empty(64, np.uint64)
        out, _ = kernels.decode_chunk(data, 0, cut, -1, 2**60, False, times, values, 0)
        assert out == kernels.MALFORMED


def test_a_chunk_is_not_decoded_into_too_small_an_array() -> None:
    data, _ = twins.padded(xor.encode([(1, 1.0), (2, 2.0)]))
    out, _ = kernels.decode_chunk(
        data, 0, data.size - 16, 0, 9, False, np.empty(2, np.int64), np.empty(2, np.uint64), 1
    )
    assert out == kernels.NO_ROOM


def test_a_set_flag_ends_kernels() -> None:
    data, _ = twins.padded(b"\0\0")
    table = (data, np.array([0, 1]), np.array([0, 1]), np.array([0]), np.array([2]))
    counts, flag = np.empty(1, np.int64), np.ones(1, np.uint8)
    assert kernels.count_samples(*table, 0, 1, counts, flag) == (0, kernels.CANCELLED)
    spares = np.empty((2, 0), np.int64), np.empty((2, 0))
    arrays = np.empty(0, np.int64), np.empty(0), counts
    assert kernels.decode_rows(*table, 0, 1, 0, 9, 0, *arrays, *spares, flag) == (0, kernels.CANCELLED)
