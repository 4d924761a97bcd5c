"""Selecting from endpoints that are fakes: what is asked, what comes together, what is missing."""

from collections.abc import Sequence

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from app.demo import xor
from app.endpoints.model import EndpointView, State
from app.engine.budget import Budget, TooMuchMemory
from app.engine.model import EvaluationError, Hints, Labels
from app.engine.promql.ast import Matcher
from app.engine.select.decode import decode
from app.engine.select.fetch import Selected, Selecting, store_matchers
from app.engine.select.model import SelectOptions
from app.errors import CallError, Code
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions, RequestContext
from app.fanout.wire import warning
from app.kernels.xxh64 import xxh64
from app.pb.thanos import Aggr, Series, SeriesRequest, ShardInfo
from tests.unit.engine.select import twins
from tests.unit.engine.select.twins import Sample, answered
from tests.unit.fanout.answers import FakeChannel, FakeEndpoints, batch, view

UP = Matcher("=", "__name__", "up")
HINTS = Hints(start=0, end=2**40)
BROKEN = CallError(Code.UNAVAILABLE, "connection lost")
CONTEXT = RequestContext(metadata={}, timeout=None)
REPLICAS = SelectOptions(replica_labels=("replica",))
A, B = {"__name__": "up", "job": "a"}, {"__name__": "up", "job": "b"}
FIRST = [(1000, 1.0), (16_000, 2.0)]
SECOND = [(31_000, 3.0)]


def _endpoint(number: int, *blocks: bytes | CallError, supports: bool = True) -> EndpointView:
    return view(f"s{number}:1", FakeChannel(f"s{number}:1", blocks), supports=supports)


def _select(
    *views: EndpointView,
    options: SelectOptions = REPLICAS,
    hints: Hints = HINTS,
    matchers: Sequence[Matcher] = (UP,),
    fanout: FanoutOptions | None = None,
    memory_limit: int = 0,
) -> Selected:
    selecting = Selecting(
        FakeEndpoints(*views),
        fanout or FanoutOptions(),
        FanoutMetrics(CollectorRegistry()),
    )
    return anyio.run(selecting.select, matchers, hints, options, CONTEXT, Budget(memory_limit))


def _samples(selected: Selected) -> dict[Labels, list[Sample]]:
    found = decode(selected.table, np.zeros(1, np.uint8))
    labels = [each.labels for each in found]
    assert labels == sorted(set(labels))
    return {each.labels: twins.zipped(each.times, each.values) for each in found}


def _key(labels: dict[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def test_equal_series_come_together_and_equal_chunks_once() -> None:
    got = _select(
        _endpoint(0, batch(answered(A, FIRST), answered(B, FIRST))),
        _endpoint(1, batch(answered(A, FIRST, SECOND)), batch(answered(B, FIRST))),
    )
    assert got.warnings == []
    assert _samples(got) == {_key(A): [*FIRST, *SECOND], _key(B): FIRST}
    assert got.table.lanes.tolist() == [0, 1, 2]


@pytest.mark.parametrize("supports", [True, False])
def test_replicas_are_told_apart_and_merged(supports: bool) -> None:
    other = [(time + 100, value + 50) for time, value in FIRST]
    got = _select(
        _endpoint(0, batch(answered(A | {"replica": "1"}, other, SECOND)), supports=supports),
        _endpoint(1, batch(answered(A | {"replica": "0"}, FIRST)), supports=supports),
    )
    assert got.table.lanes.tolist() == [0, 2]
    assert _samples(got) == {_key(A): twins.penalty([*FIRST, *SECOND], other)}


def test_thanos_sets_of_series() -> None:
    """The sets of its TestDedupSeriesSet: one replica label, two of them, and series that lack some."""
    early, middle, late = [(10_000, 1.0), (20_000, 2.0)], [(60_000, 3.0), (70_000, 4.0)], [(200_000, 5.0)]
    first, more = {"a": "1", "c": "3"}, {"a": "1", "c": "3", "d": "4"}
    third, fourth = {"a": "1", "c": "4"}, {"a": "2", "c": "3"}
    found = [
        (first | {"replica": "1"}, early),
        (first | {"replica": "2", "rack": "x"}, middle),
        (first | {"rack": "y"}, late),
        (first | {"replica": "4", "rack": "y"}, early),
        (more, early),
        (third | {"replica": "1"}, early),
        (fourth | {"replica": "1"}, early),
        (fourth | {"replica": "2"}, middle),
    ]
    got = _select(
        *(
            _endpoint(number, batch(answered(labels, samples)))
            for number, (labels, samples) in enumerate(found)
        ),
        options=SelectOptions(replica_labels=("replica", "rack")),
        hints=Hints(0, 300_000),
    )
    assert _samples(got) == {
        _key(first): [*early, *middle, *late],
        _key(more): early,
        _key(third): early,
        _key(fourth): [*early, *middle],
    }


def test_without_deduplication_replicas_stay() -> None:
    answers = [batch(answered(A | {"replica": name}, FIRST)) for name in "01"]
    got = _select(
        *(_endpoint(number, answer) for number, answer in enumerate(answers)),
        options=SelectOptions(dedup=False, replica_labels=("replica",)),
    )
    assert _samples(got) == {_key(A | {"replica": name}): FIRST for name in "01"}


_texts = st.text(alphabet="ab\u00ff\U0001f600", max_size=3)
_labels = st.dictionaries(_texts, _texts, max_size=3).map(lambda found: tuple(sorted(found.items())))
_runs = st.lists(st.integers(0, 60), min_size=1, max_size=4, unique=True).map(
    lambda times: [(time * 1000, float(time % 7)) for time in sorted(times)]
)
_answers = st.lists(
    st.lists(st.tuples(_labels, st.lists(_runs, max_size=3)), max_size=6), min_size=1, max_size=4
)


@settings(max_examples=150, deadline=None)
@given(answers=_answers, split=st.integers(1, 3), dedup=st.booleans())
def test_any_answers_come_together_as_the_twins_do(
    answers: list[list[tuple[Labels, list[list[Sample]]]]], split: int, dedup: bool
) -> None:
    views = []
    for number, answer in enumerate(answers):
        series = [answered(labels, *runs) for labels, runs in answer]
        blocks = [batch(*series[at : at + split]) for at in range(0, len(series), split)]
        views.append(_endpoint(number, *blocks))
    got = _select(*views, options=SelectOptions(dedup=dedup, replica_labels=("a",)))
    together: dict[Labels, list[tuple[int, int, bytes]]] = {}
    for answer in answers:
        for labels, runs in answer:
            kept = tuple(label for label in labels if label[1] and not (dedup and label[0] == "a"))
            together.setdefault(kept, []).extend((run[0][0], run[-1][0], xor.encode(run)) for run in runs)
    wanted = {}
    for labels, chunks in together.items():
        lanes = [[data for _, _, data in lane] for lane in twins.lanes_of(chunks, apart=dedup)]
        replicas = [twins.bounded(lane, HINTS.start, HINTS.end) for lane in lanes]
        wanted[labels] = twins.penalty_all(replicas) if replicas else []
    assert _samples(got) == wanted


def test_labels_out_of_order_and_twice_are_put_right() -> None:
    labels: Labels = (("job", "a"), ("__name__", "up"), ("job", "z"), ("empty", ""))
    assert _samples(_select(_endpoint(0, batch(answered(labels, FIRST))))) == {_key(A): FIRST}


def test_a_failed_endpoint_is_a_warning_or_an_error() -> None:
    views = [_endpoint(0, batch(answered(B, FIRST)), BROKEN), _endpoint(1, batch(answered(A, FIRST)))]
    got = _select(*views)
    assert got.warnings == ["receive series from eu/s0:1: UNAVAILABLE: connection lost"]
    assert _samples(got) == {_key(A): FIRST, _key(B): FIRST}
    with pytest.raises(CallError, match="eu/s0:1") as raised:
        _select(*views, options=SelectOptions(abort=True))
    assert raised.value.code is Code.ABORTED


def test_a_warning_in_an_answer_is_passed_on_or_an_error() -> None:
    endpoint = _endpoint(0, warning("half of it is gone") + batch(answered(A, FIRST)))
    got = _select(endpoint)
    assert got.warnings == ["half of it is gone"]
    assert _samples(got) == {_key(A): FIRST}
    with pytest.raises(CallError, match="half of it is gone"):
        _select(endpoint, options=SelectOptions(abort=True))


@pytest.mark.parametrize("garbage", [b"\0\0\0\0\x03\x0a\xff\xff", b"\x01\0\0\0\0", b"\0\0\0"])
def test_garbage_is_that_endpoints_failure(garbage: bytes) -> None:
    got = _select(_endpoint(0, garbage), _endpoint(1, batch(answered(A, FIRST))))
    assert _samples(got) == {_key(A): FIRST}
    assert len(got.warnings) == 1 and "eu/s0:1" in got.warnings[0]


def test_missing_endpoints_are_named() -> None:
    lost = view("lost:1", labels=(("cluster", "eu"),), state=State.UNHEALTHY)
    (said,) = _select(lost).warnings
    assert "eu/lost:1" in said and "certificate expired" in said


def test_no_endpoint_at_all_is_an_error_only_where_all_is_wanted() -> None:
    assert len(_select().table) == 0
    with pytest.raises(CallError, match="No StoreAPIs available"):
        _select(options=SelectOptions(abort=True))


def test_own_labels_that_contradict_ask_nobody() -> None:
    endpoint = _endpoint(0, batch(answered(A, FIRST)))
    own = FanoutOptions(selector_labels=(("tenant", "x"),))
    got = _select(endpoint, matchers=[UP, Matcher("=", "tenant", "y")], fanout=own)
    assert len(got.table) == 0
    assert endpoint.channel.requests == []  # type: ignore[attr-defined]


def _request(hints: Hints, options: SelectOptions = REPLICAS) -> SeriesRequest:
    endpoint = _endpoint(0)
    _select(endpoint, hints=hints, options=options)
    (request,) = endpoint.channel.requests  # type: ignore[attr-defined]
    return SeriesRequest.parse(request)


def test_what_endpoints_are_asked() -> None:
    hints = Hints(start=5, end=9, step=30, range=60_000, func="rate", grouping=("job",), by=True)
    asked = _request(hints, SelectOptions(replica_labels=("replica",), max_resolution=3_600_000))
    assert (asked.min_time, asked.max_time, asked.step, asked.range) == (5, 9, 30, 60_000)
    assert asked.aggregates == [Aggr.COUNTER]
    assert asked.max_resolution_window == 30_000
    assert asked.without_replica_labels == ["replica"]
    assert asked.response_batch_size == 64
    assert asked.query_hints is not None and asked.query_hints.func is not None
    assert asked.query_hints.func.name == "rate"
    assert asked.query_hints.grouping is not None and asked.query_hints.grouping.labels == ["job"]
    assert (
        _request(HINTS, SelectOptions(dedup=False, replica_labels=("replica",))).without_replica_labels == []
    )


@pytest.mark.parametrize(
    ("func", "wanted"),
    [
        ("min", [Aggr.MIN]),
        ("max_over_time", [Aggr.MAX]),
        ("count_over_time", [Aggr.COUNT]),
        ("sum_over_time", [Aggr.SUM]),
        ("sum", [Aggr.COUNT, Aggr.SUM]),
        ("resets", [Aggr.COUNTER]),
        ("", [Aggr.COUNT, Aggr.SUM]),
    ],
)
def test_aggregates_by_function(func: str, wanted: list[Aggr]) -> None:
    assert _request(Hints(start=0, end=9, func=func)).aggregates == wanted


def test_limits_fail_the_query() -> None:
    endpoint = _endpoint(0, batch(answered(A, FIRST, SECOND), answered(B, FIRST)))
    with pytest.raises(CallError, match=r"failed to send series: limit 1 violated \(got 2\)") as raised:
        _select(endpoint, options=SelectOptions(series_limit=1))
    assert raised.value.code is Code.RESOURCE_EXHAUSTED
    with pytest.raises(CallError, match=r"failed to send samples: limit 200 violated \(got 360\)"):
        _select(endpoint, options=SelectOptions(samples_limit=200))
    with pytest.raises(TooMuchMemory, match=r"more than 1000 bytes of memory \(--query.max-memory\)"):
        _select(endpoint, memory_limit=1000)
    assert len(_select(endpoint, options=SelectOptions(series_limit=2, samples_limit=360)).table) == 2


def test_labels_that_would_fill_the_memory_once_they_are_columns_are_refused() -> None:
    wide = answered({f"label_{number}": "v" for number in range(2000)}, FIRST)
    many = [answered(A | {"n": str(number)}, FIRST) for number in range(2000)]
    endpoint = _endpoint(0, batch(wide), batch(*many))
    with pytest.raises(TooMuchMemory, match="more than 20000000 bytes of memory"):
        _select(endpoint, memory_limit=20_000_000)


def test_store_matchers_choose_by_address() -> None:
    views = [_endpoint(0, batch(answered(A, FIRST))), _endpoint(1, batch(answered(B, FIRST)))]
    got = _select(*views, options=SelectOptions(store_matchers=('{__address__=~"s[02]:1"}',)))
    assert set(_samples(got)) == {_key(A)}
    got = _select(*views, options=SelectOptions(store_matchers=('{__address__="none"}',), abort=True))
    assert len(got.table) == 0
    with pytest.raises(CallError, match="store matcher"):
        store_matchers(["{"])


def test_a_shard_is_what_is_left_where_endpoints_send_all() -> None:
    answer = batch(*(answered(A | {"n": str(number)}, FIRST) for number in range(20)))
    every = _samples(_select(_endpoint(0, answer)))
    for by, labels in ((True, ["n"]), (False, ["job"])):
        shards = []
        for index in range(3):
            info = ShardInfo(shard_index=index, total_shards=3, by=by, labels=labels)
            shards.append(
                _samples(_select(_endpoint(0, answer), options=SelectOptions(shard_info=bytes(info))))
            )
        assert sum(len(shard) for shard in shards) == 20
        assert all(shards)
        assert {labels: found for shard in shards for labels, found in shard.items()} == every
    single = batch(answered({"n": "7"}, FIRST))
    wanted = int(xxh64(np.frombuffer(bytearray(b"n\xff7\xff"), np.uint8), 0, 4)) % 5
    info = ShardInfo(shard_index=wanted, total_shards=5, by=True, labels=["n"])
    assert len(_select(_endpoint(0, single), options=SelectOptions(shard_info=bytes(info))).table) == 1


def test_more_than_first_fits_is_taken_in() -> None:
    """Every array has to grow, some of them for one series alone."""
    wide = {f"label_{number:05d}": "v" * (number % 90) + "x" for number in range(6000)}
    many = [answered(A | {"n": str(number)}, FIRST) for number in range(3000)]
    one = [[(number * 1000, 1.0)] for number in range(2000)]
    got = _select(_endpoint(0, batch(answered(wide, FIRST)), batch(*many), batch(answered(A, *one))))
    found = _samples(got)
    assert len(found) == 3002
    assert found[_key(wide)] == FIRST
    assert len(found[_key(A)]) == 2000
    assert found[_key(A | {"n": "2999"})] == FIRST


def test_a_chunk_that_cannot_be_read_is_named() -> None:
    broken = answered(A, FIRST)
    assert broken.chunks[0].raw is not None
    broken.chunks[0].raw.data = broken.chunks[0].raw.data[:-3]
    got = _select(_endpoint(0, batch(answered(B, FIRST)), batch(broken)))
    with pytest.raises(EvaluationError, match='job="a"'):
        _samples(got)


def test_series_without_chunks_are_empty() -> None:
    assert _samples(_select(_endpoint(0, batch(Series())))) == {(): []}
