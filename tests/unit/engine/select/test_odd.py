"""Series with downsampled chunks and with native histograms."""

from collections.abc import Mapping, Sequence

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from app.demo import xor
from app.engine.histogram.model import FloatHistogram
from app.engine.model import EvaluationError, Hints, is_stale
from app.engine.model import Series as Found
from app.engine.promql.ast import Matcher
from app.engine.select import odd
from app.engine.select.decode import decode
from app.engine.select.fetch import Selecting
from app.engine.select.model import SelectOptions
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions, RequestContext
from app.pb.thanos import AggrChunk, Chunk, ChunkEncoding, Label, Series
from app.sidecar.kernels.sampled import encode
from tests.unit.engine.select import twins
from tests.unit.engine.select.twins import Sample
from tests.unit.fanout.answers import FakeChannel, FakeEndpoints, batch, view

HOUR = 3_600_000


def _selected(
    *chunks: AggrChunk, func: str = "", start: int = 0, end: int = 2**40, chain: bool = False
) -> Found:
    series = Series(labels=[Label(name="__name__", value="x")], chunks=list(chunks))
    endpoint = view("s:1", FakeChannel("s:1", [batch(series)]))
    selecting = Selecting(FakeEndpoints(endpoint), FanoutOptions(), FanoutMetrics(CollectorRegistry()))
    got = anyio.run(
        selecting.select,
        [Matcher("=", "__name__", "x")],
        Hints(start=start, end=end, func=func),
        SelectOptions(replica_labels=("replica",), chain=chain),
        RequestContext(metadata={}, timeout=None),
    )
    (found,) = decode(got.table, np.zeros(1, np.uint8))
    assert got.table.decoded == {} or got.table.lanes.tolist() == [0, 0]
    return found


def _samples(found: Found) -> list[Sample]:
    return twins.zipped(found.times, found.values)


def _aggregated(times: Sequence[int], **values: Sequence[float]) -> AggrChunk:
    members = {name: Chunk(data=xor.encode(zip(times, own, strict=True))) for name, own in values.items()}
    return AggrChunk(min_time=times[0], max_time=times[-1], **members)


TIMES = [HOUR, 2 * HOUR]
ALL = _aggregated(TIMES, count=[4, 0], sum=[10, 0], min=[1, 2], max=[5, 6], counter=[7, 9])


@pytest.mark.parametrize(
    ("func", "wanted"),
    [
        ("min_over_time", [1, 2]),
        ("max", [5, 6]),
        ("count_over_time", [4, 0]),
        ("sum_over_time", [10, 0]),
        ("rate", [7, 9]),
    ],
)
def test_the_function_chooses_the_aggregate(func: str, wanted: list[float]) -> None:
    assert _samples(_selected(ALL, func=func)) == list(zip(TIMES, wanted, strict=True))


def test_else_it_is_the_average() -> None:
    first, second = _samples(_selected(ALL))
    assert first == (HOUR, 2.5)
    assert second[1] != second[1]


def test_raw_chunks_win_and_stand_beside_downsampled_ones() -> None:
    raw = AggrChunk(
        min_time=3 * HOUR,
        max_time=3 * HOUR,
        raw=Chunk(data=xor.encode([(3 * HOUR, 9.0)])),
        count=Chunk(data=xor.encode([(3 * HOUR, 1.0)])),
    )
    assert _samples(_selected(ALL, raw, func="sum_over_time")) == [(HOUR, 10), (2 * HOUR, 0), (3 * HOUR, 9)]
    assert _samples(_selected(ALL, raw, func="max", start=2 * HOUR, end=2 * HOUR)) == [(2 * HOUR, 6)]


def test_a_missing_aggregate_is_an_error() -> None:
    chunk = _aggregated(TIMES, count=[1, 2])
    with pytest.raises(EvaluationError, match='__name__="x"'):
        _selected(chunk, func="max")
    with pytest.raises(EvaluationError, match='__name__="x"'):
        _selected(chunk)


def test_sums_and_counts_of_different_times_are_an_error() -> None:
    chunk = _aggregated(TIMES, count=[1, 2])
    assert chunk.count is not None
    other = _aggregated([HOUR, 3 * HOUR], sum=[1, 2])
    with pytest.raises(EvaluationError, match='__name__="x"'):
        _selected(AggrChunk(min_time=HOUR, max_time=3 * HOUR, count=chunk.count, sum=other.sum))


_deltas = st.lists(st.sampled_from([0.0, 1.0, 5.0, -1.0]), min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(_deltas, min_size=1, max_size=4), last=st.sampled_from([0.0, 1.0, 7.0]))
def test_counters_become_running_totals(parts: list[list[float]], last: float) -> None:
    """A chunk ends with a sample of its last time again: what the counter really stood at."""
    chunks, samples, time = [], [], 0
    for values in parts:
        found: list[Sample] = []
        for value in values:
            time += HOUR
            found.append((time, abs(value)))
        found.append((time, last))
        samples += found
        chunks.append(
            AggrChunk(min_time=found[0][0], max_time=time, counter=Chunk(data=_with_repeated(found)))
        )
    got = _selected(*chunks, func="increase")
    assert _samples(got) == twins.running_total(samples)


def _with_repeated(samples: list[Sample]) -> bytes:
    """A chunk whose last time comes again, which `xor.encode` refuses to write."""
    out = np.empty(64 + 20 * len(samples), np.uint8)
    times = np.array([time for time, _ in samples], np.int64)
    values = np.array([value for _, value in samples]).view(np.uint64)
    return out[: int(encode(times, values, 0, len(samples), out, 0))].tobytes()


def test_replicas_of_downsampled_counters_are_merged() -> None:
    first = _aggregated([HOUR, 2 * HOUR, 3 * HOUR], counter=[10, 20, 30])
    second = _aggregated(
        [HOUR + 7, 2 * HOUR + 7, 3 * HOUR + 7, 4 * HOUR + 7, 9 * HOUR], counter=[5, 6, 7, 8, 9]
    )
    got = _samples(_selected(first, second, func="rate"))
    replicas = [[(HOUR, 10.0), (2 * HOUR, 20.0), (3 * HOUR, 30.0)]]
    replicas.append(
        [(HOUR + 7, 5.0), (2 * HOUR + 7, 6.0), (3 * HOUR + 7, 7.0), (4 * HOUR + 7, 8.0), (9 * HOUR, 9.0)]
    )
    assert got == twins.penalty_all(replicas, counter=True)
    assert [value for _, value in got] == sorted(value for _, value in got)
    assert _samples(_selected(first, second, func="rate", chain=True)) == twins.chain(replicas)


class _Histograms:
    """Not mutable: chunks of histograms by their bytes, in the place of what reads real ones."""

    def __init__(self, known: Mapping[bytes, list[tuple[int, FloatHistogram | None]]]) -> None:
        self._known = known

    def decode_histogram_chunk(self, data: bytes, *, floats: bool) -> list[tuple[int, FloatHistogram | None]]:
        if data not in self._known:
            raise ValueError("not a histogram")
        assert floats == data.startswith(b"float")
        return self._known[data]


def _histogram(count: float) -> FloatHistogram:
    return FloatHistogram(count=count, sum=count * 2, positive={0: count})


@pytest.fixture
def histograms(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[bytes, list[tuple[int, FloatHistogram | None]]] = {
        b"one": [(1000, _histogram(1)), (2000, _histogram(2)), (2500, None)],
        b"float": [(1000, _histogram(1)), (31_000, _histogram(4))],
    }
    monkeypatch.setattr(odd, "decode_histogram_chunk", _Histograms(known).decode_histogram_chunk)


def _chunk(data: bytes, encoding: ChunkEncoding, begin: int, end: int) -> AggrChunk:
    return AggrChunk(min_time=begin, max_time=end, raw=Chunk(type=encoding, data=data))


@pytest.mark.usefixtures("histograms")
def test_histograms_stand_between_floats() -> None:
    floats = AggrChunk(min_time=3000, max_time=3000, raw=Chunk(data=xor.encode([(3000, 7.0)])))
    got = _selected(_chunk(b"one", ChunkEncoding.HISTOGRAM, 1000, 2500), floats)
    assert got.times.tolist() == [1000, 2000, 2500, 3000]
    assert got.histograms == {0: _histogram(1), 1: _histogram(2)}
    assert got.values[[0, 1, 3]].tolist() == [2, 4, 7]
    assert is_stale(float(got.values[2]))


@pytest.mark.usefixtures("histograms")
@pytest.mark.parametrize("func", ["", "rate"])
def test_replicas_of_histograms_are_merged_by_time(func: str) -> None:
    got = _selected(
        _chunk(b"one", ChunkEncoding.HISTOGRAM, 1000, 2500),
        _chunk(b"float", ChunkEncoding.FLOAT_HISTOGRAM, 1000, 31_000),
        func=func,
    )
    assert got.times.tolist() == [1000, 2000, 2500, 31_000]
    assert got.histograms == {0: _histogram(1), 1: _histogram(2), 3: _histogram(4)}


@pytest.mark.usefixtures("histograms")
def test_what_is_no_histogram_is_named() -> None:
    with pytest.raises(EvaluationError, match=r'__name__="x".*not a histogram'):
        _selected(_chunk(b"other", ChunkEncoding.HISTOGRAM, 1, 2))
