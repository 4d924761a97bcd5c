"""Chunks of native histograms by kernel: what the plain reader makes of them, or left to it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.demo import xor
from app.engine import kernels
from app.engine.histogram.chunks import decode_histogram_chunk
from app.engine.histogram.columns import HistogramColumns, columns_of
from app.engine.histogram.model import FloatHistogram
from app.engine.model import Series, is_stale
from app.engine.select import odd
from app.engine.select.odd import OddLane, Purpose, decode_odd
from app.fanout.wire import field
from tests.unit.engine.histogram.chunk_writer import chunk
from tests.unit.engine.histogram.vectors import assert_same, load
from tests.unit.engine.select import twins

WRITTEN = [(bytes.fromhex(case["chunk"]), case["float"]) for case in load("chunks.jsonl")]
FAR = 1 << 60
EVER = Purpose(-FAR, FAR)
Payload = tuple[bytes, int]
"""With its encoding: 0 for floats, 1 and 2 for histograms."""


def _message(payload: Payload) -> bytes:
    """An AggrChunk with a raw chunk."""
    data, encoding = payload
    return field(3, b"\x08" + bytes([encoding]) + field(2, data))


def _decoded(payloads: Sequence[Payload], purpose: Purpose = EVER) -> Series:
    messages = [_message(payload) for payload in payloads]
    data, starts = twins.padded(*messages)
    sizes = np.array([len(message) for message in messages], np.int64)
    lane = OddLane(np.full(len(messages), kernels.OTHER), np.array(starts, np.int64), sizes)
    return decode_odd(data, [lane], (), purpose)


def _plain(payloads: Sequence[Payload], purpose: Purpose = EVER) -> list[tuple[int, Any]]:
    """Each sample that is later than the one before."""
    found: list[tuple[int, Any]] = []
    for data, encoding in payloads:
        samples: Sequence[tuple[int, Any]]
        if encoding == 0:
            samples = twins.bounded([data], -FAR, FAR)
        else:
            samples = decode_histogram_chunk(data, floats=encoding == 2)
        for time, value in samples:
            if purpose.start <= time <= purpose.end and (not found or found[-1][0] < time):
                found.append((time, value))
    return found


def _check(found: Series, wanted: Sequence[tuple[int, Any]]) -> None:
    assert found.times.tolist() == [time for time, _ in wanted]
    assert sorted(found.histograms) == [
        place for place, (_, value) in enumerate(wanted) if isinstance(value, FloatHistogram)
    ]
    for place, (_, value) in enumerate(wanted):
        if value is None:
            assert is_stale(float(found.values[place]))
        elif isinstance(value, float):
            assert twins.bits(float(found.values[place])) == twins.bits(value)
        else:
            assert_same(found.histograms[place], value)


@pytest.fixture
def no_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the kernels read."""

    def refuse(*_: object) -> None:
        raise AssertionError("left to the plain reader")

    monkeypatch.setattr(odd, "_lane_of_objects", refuse)


@pytest.mark.usefixtures("no_objects")
@pytest.mark.parametrize("written", WRITTEN, ids=range(len(WRITTEN)))
def test_chunks_that_prometheus_wrote(written: tuple[bytes, bool]) -> None:
    payload = written[0], 1 + written[1]
    _check(_decoded([payload]), _plain([payload]))


_floats = xor.encode([(1_700_485_700_000 + at * 1000, float(at)) for at in range(50)])
_payloads = st.sampled_from([*((data, 1 + floats) for data, floats in WRITTEN), (_floats, 0)])


@pytest.mark.usefixtures("no_objects")
@settings(max_examples=100, deadline=None)
@given(st.lists(_payloads, max_size=6), st.integers(0, 100), st.integers(0, 100))
def test_lanes_of_all_kinds_of_chunks(payloads: list[Payload], skipped: int, left: int) -> None:
    """In any order, also one that goes back in time; limits may lie inside of chunks."""
    times = [time for time, _ in _plain(payloads)] or [0]
    purpose = Purpose(times[min(skipped, len(times) - 1)], times[-1 - min(left, len(times) - 1)])
    _check(_decoded(payloads, purpose), _plain(payloads, purpose))


@pytest.mark.usefixtures("no_objects")
def test_layouts_in_all_their_forms() -> None:
    payloads = [
        (chunk(schema=-4, positive=[(-3, 1), (2, 2)], negative=[(5, 1)], counts=[1, 2, -1, 7]), 1),
        (chunk(time=2000, threshold=0.25, positive=[(0, 1)], counts=[4]), 1),
        (chunk(time=3000, schema=-53, bounds=[-1.5, 0.0, 2.5], positive=[(0, 4)], counts=[1, 1, 1, 1]), 1),
        (chunk(time=4000, schema=-53, bounds=[-1.5, 0.0, 2.5], positive=[(0, 4)], counts=[2, 0, 0, 0]), 1),
        (chunk(time=5000, flags=0b11 << 6), 1),
        (chunk(time=6000, number=0), 1),
    ]
    found = _decoded(payloads)
    _check(found, _plain(payloads))
    assert isinstance(found.histograms, HistogramColumns)
    assert len(found.histograms.columns.layouts) == 4


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_chunk_is_read_as_the_plain_reader_does(data: st.DataObject) -> None:
    """Or refused by both: what the kernels refuse is looked at by the plain reader."""
    written, encoding = data.draw(st.sampled_from(WRITTEN))
    payload = bytearray(written)
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(payload)[: data.draw(st.integers(0, len(payload)))], 1 + encoding
    try:
        wanted = _plain([damaged])
    except ValueError:
        wanted = None
    messages, starts = twins.padded(_message(damaged))
    arrays = np.ones(1, np.int64), np.array(starts), np.array([len(_message(damaged))])
    sizes = np.empty(kernels.HISTOGRAM_SIZES, np.int64)
    members = np.empty((kernels.MEMBERS, 3), np.int64)
    if kernels.measure_histograms(messages, *arrays, members, sizes) == 0:
        assert sizes[:3].max() <= 64 * len(messages) + 0xFFFF  # what is not there takes no memory
    if wanted is not None:
        _check(_decoded([damaged]), wanted)


_histograms = st.builds(
    FloatHistogram,
    schema=st.integers(0, 2),
    count=st.floats(0, 100),
    positive=st.dictionaries(st.integers(-3, 3), st.floats(1, 9), max_size=4),
    negative=st.dictionaries(st.integers(-3, 3), st.floats(1, 9), max_size=2),
)


@given(st.lists(_histograms, max_size=5), st.lists(_histograms, max_size=5))
def test_columns_of_objects(some: list[FloatHistogram], others: list[FloatHistogram]) -> None:
    both = columns_of(some).beside(columns_of(others))
    assert [both.histogram(number) for number in range(len(both))] == some + others
