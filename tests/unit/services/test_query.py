from collections.abc import Mapping
from typing import Any

import anyio
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from app.config.query_options import QueryOptions
from app.engine.gate import Gate
from app.engine.model import EvaluationError, Matrix, Row, Sample, Scalar, String, Vector, WrongKind
from app.engine.promql.parser import parse_selector
from app.engine.request import Answer, QueryCanceled, QueryRequest, QueryTimeout
from app.errors import CallError, Code
from app.pb import thanos as pb
from app.services.query import Query
from tests.unit.fanout.answers import messages
from tests.unit.services.fake_call import FakeCall
from tests.unit.web.api.fakes import NOW, FakeEngine

pytestmark = pytest.mark.anyio


def service(engine: FakeEngine, options: QueryOptions | None = None, gate: Gate | None = None) -> Query:
    options = options or QueryOptions()
    gate = gate or Gate(options.max_concurrent, CollectorRegistry())
    return Query(engine, gate, options, ("replica",), now=lambda: NOW)


async def instant(evaluator: FakeEngine, options: QueryOptions | None = None, **asked: Any) -> FakeCall:
    call = FakeCall(bytes(pb.QueryRequest(**{"query": "up", **asked})))
    await service(evaluator, options).query(call)
    return call


async def ranged(evaluator: FakeEngine, options: QueryOptions | None = None, **asked: Any) -> FakeCall:
    fields = {"query": "up", "start_time_seconds": 100, "end_time_seconds": 160, "interval_seconds": 15}
    call = FakeCall(bytes(pb.QueryRangeRequest(**{**fields, **asked})))
    await service(evaluator, options).query_range(call)
    return call


def answers(call: FakeCall) -> list[pb.QueryResponse]:
    found = []
    for sent in call.sent:
        # Warnings are sent as messages, results as messages with their prefixes.
        framed = sent[:1] == b"\0"
        found += [pb.QueryResponse.parse(each) for each in (messages(sent) if framed else [sent])]
    return found


async def test_what_is_asked_reaches_the_engine() -> None:
    engine = FakeEngine()
    matchers = [pb.LabelMatcher(type=pb.LabelMatcherType.RE, name="__address__", value='eu-"a".*')]
    await instant(
        engine,
        time_seconds=50,
        timeout_seconds=7,
        max_resolution_seconds=300,
        replica_labels=["r1", "r2"],
        store_matchers=[pb.StoreMatchers(label_matchers=matchers)],
        enable_dedup=True,
        shard_info=pb.ShardInfo(shard_index=1, total_shards=2, by=True, labels=["pod"]),
        lookback_delta_seconds=60,
    )
    (request,) = engine.requests
    assert (request.text, request.start, request.end, request.step) == ("up", 50_000, 50_000, 0)
    assert 6 < request.timeout <= 7
    assert request.lookback == 60_000
    select = request.select
    assert (select.dedup, select.abort, select.max_resolution) == (True, True, 300_000)
    assert select.replica_labels == ("r1", "r2")
    assert [parse_selector(text)[0].value for text in select.store_matchers] == ['eu-"a".*']
    assert pb.ShardInfo.parse(select.shard_info).labels == ["pod"]


async def test_what_is_not_asked_is_as_the_flags_say() -> None:
    engine = FakeEngine()
    options = QueryOptions(
        timeout=30, lookback=120, instant_resolution=600, chain=True, series_limit=5, samples_limit=6
    )
    await instant(engine, options, enable_partial_response=True)
    (request,) = engine.requests
    assert request.start == request.end == round(NOW * 1000)
    assert 29 < request.timeout <= 30
    assert request.lookback == 3_600_000  # samples lie ten minutes apart
    select = request.select
    assert (select.dedup, select.abort, select.max_resolution) == (False, False, 600_000)
    assert (select.replica_labels, select.store_matchers, select.shard_info) == (("replica",), (), b"")
    assert (select.chain, select.series_limit, select.samples_limit) == (True, 5, 6)


async def test_the_clients_deadline_is_kept() -> None:
    engine = FakeEngine()
    call = FakeCall(bytes(pb.QueryRequest(query="up", timeout_seconds=60)))
    call.remaining = 3.0
    call.metadata = {"thanos-tenant": "a", "other": "b"}
    await service(engine).query(call)
    assert 2 < engine.requests[0].timeout <= 3
    assert engine.requests[0].metadata == {"thanos-tenant": "a"}


async def test_a_range_has_steps() -> None:
    engine = FakeEngine(Matrix([]))
    await ranged(engine, QueryOptions(instant_resolution=3))
    (request,) = engine.requests
    assert (request.start, request.end, request.step) == (100_000, 160_000, 15_000)
    assert request.select.max_resolution == 3000


async def test_series_come_with_warnings_before_and_stats_behind() -> None:
    engine = FakeEngine(Vector([Sample((("a", str(index)),), 1.0, 0) for index in range(5)]))
    engine.warnings = ["eu is missing", "eu is missing"]
    engine.annotations.warn("mixed")
    engine.stats = {"samples": {"totalQueryableSamples": 12, "peakSamples": 5}}
    found = answers(await instant(engine, response_batch_size=3))
    assert [each.warnings for each in found[:2]] == ["eu is missing", "PromQL warning: mixed"]
    assert [len(each.timeseries_batch.series) for each in found if each.timeseries_batch] == [3, 2]
    assert found[-1].stats == pb.QueryStats(samples_total=12, peak_samples=5)


async def test_many_series_are_made_in_blocks_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.query.BLOCK", 10_000)
    rows = [Row((("a", str(index)),), np.arange(500, dtype=np.int64), np.ones(500)) for index in range(10)]
    call = await ranged(FakeEngine(Matrix(rows)))
    found = answers(call)
    assert [len(each.timeseries.samples) for each in found if each.timeseries] == [500] * 10
    assert max(map(len, call.sent)) < 20_000
    assert found[-1].stats is not None


async def test_a_string_is_said_to_have_no_place() -> None:
    found = answers(await instant(FakeEngine(String(0, "a"))))
    assert "string" in (found[0].warnings or "")
    assert len(found) == 2


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"query": "up{"}, "parse error"),
        ({"query": "", "query_plan": pb.QueryPlan(json=b"{}")}, "query_plan"),
        ({"engine": pb.EngineType(9)}, "engine"),
        ({"time_seconds": 2**62}, "time_seconds"),
        ({"max_resolution_seconds": -1}, "max_resolution_seconds"),
    ],
)
@pytest.mark.parametrize("partial", [True, False])
async def test_nonsense_is_refused(asked: Mapping[str, Any], says: str, partial: bool) -> None:
    with pytest.raises(CallError, match=says) as caught:
        await instant(FakeEngine(), enable_partial_response=partial, **asked)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"end_time_seconds": 99}, "before"),
        ({"interval_seconds": 0}, "interval_seconds"),
        ({"interval_seconds": -1}, "interval_seconds"),
        ({"end_time_seconds": 11_101, "interval_seconds": 1}, "steps"),
        ({"start_time_seconds": -(2**63)}, "start_time_seconds"),
    ],
)
async def test_ranges_without_sense_are_refused(asked: Mapping[str, Any], says: str) -> None:
    with pytest.raises(CallError, match=says) as caught:
        await ranged(FakeEngine(), **{"end_time_seconds": 11_000, **asked})
    assert caught.value.code is Code.INVALID_ARGUMENT


async def test_the_text_beside_a_plan_is_evaluated() -> None:
    engine = FakeEngine()
    await instant(engine, query_plan=pb.QueryPlan(json=b"{}"))
    assert engine.requests[0].text == "up"


ERRORS = [
    EvaluationError("many-to-many"),
    QueryTimeout("query timed out"),
    QueryCanceled("query was canceled"),
    CallError(Code.UNAVAILABLE, "no endpoint"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_what_fails_while_it_runs_is_aborted(error: Exception) -> None:
    engine = FakeEngine()
    engine.error = error
    for ask in (instant, ranged):
        with pytest.raises(CallError) as caught:
            await ask(engine)
        assert caught.value.code is Code.ABORTED
    with pytest.raises(CallError):
        await ranged(engine, enable_partial_response=True)


async def test_a_range_of_what_has_none_is_refused() -> None:
    engine = FakeEngine()
    engine.error = WrongKind("no range of it")
    with pytest.raises(CallError) as caught:
        await ranged(engine, enable_partial_response=True)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_of_an_instant_query_that_may_be_partial_it_is_a_warning(error: Exception) -> None:
    engine = FakeEngine()
    engine.error = error
    (found,) = answers(await instant(engine, enable_partial_response=True))
    assert str(error) in (found.warnings or "")


class SlowEngine(FakeEngine):
    """Answers once `go` is set. Mutable: how many run."""

    def __init__(self) -> None:
        super().__init__(Scalar(0, 1.0))
        self.go = anyio.Event()
        self.begun = anyio.Event()
        self.cancelled = 0

    async def query(self, request: QueryRequest) -> Answer:
        self.begun.set()
        try:
            await self.go.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        return await super().query(request)


async def test_who_finds_no_place_in_time_is_told() -> None:
    engine, gate = SlowEngine(), Gate(1, CollectorRegistry())
    async with anyio.create_task_group() as tasks:
        first = FakeCall(bytes(pb.QueryRequest(query="up")))
        tasks.start_soon(service(engine, gate=gate).query, first)
        await engine.begun.wait()
        late = FakeCall(bytes(pb.QueryRequest(query="up")))
        late.remaining = 0.01
        with pytest.raises(CallError, match="query queue"):
            await service(engine, gate=gate).query(late)
        engine.go.set()
    assert len(first.sent) == 2


async def test_a_client_that_goes_away_ends_its_query() -> None:
    engine = SlowEngine()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service(engine).query, FakeCall(bytes(pb.QueryRequest(query="up"))))
        await engine.begun.wait()
        tasks.cancel_scope.cancel()
    assert engine.cancelled == 1
