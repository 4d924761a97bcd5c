"""A query from its text to its answer, over series that a fake select hands out."""

import threading
import time
from collections.abc import Sequence

import anyio
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from app.engine import querying
from app.engine.budget import Budget
from app.engine.cancelling import CancelFlag
from app.engine.metrics import EngineMetrics
from app.engine.model import EvaluationError, Hints, Matrix, Series, Vector, WrongKind, labels_of
from app.engine.promql.ast import Matcher
from app.engine.promql.errors import ParseError
from app.engine.promql.features import ALL_FEATURES, Features
from app.engine.querying import EngineOptions, QueryEngine
from app.engine.request import Columnar, QueryRequest, QueryTimeout
from app.engine.select.fetch import Selected
from app.engine.select.model import SelectOptions
from app.errors import CallError, Code
from app.fanout.model import RequestContext
from tests.promqltest.tables import table_of

pytestmark = pytest.mark.anyio

MINUTE = 60_000
NOW = 60 * MINUTE


def counters(hints: Hints) -> list[Series]:
    times = np.arange(0, NOW + 1, 15_000)
    times = times[(times >= hints.start) & (times <= hints.end)]
    return [
        Series(
            labels_of({"__name__": "a_total", "i": str(number)}),
            times,
            (times / 1000 * number).astype(np.float64),
        )
        for number in (1, 2)
    ]


class FakeSelect:
    """Mutable: what was asked."""

    def __init__(self, failure: Exception | None = None, wait: bool = False) -> None:
        self.asked: list[tuple[tuple[Matcher, ...], Hints, RequestContext]] = []
        self.most = self.now = 0
        self.ended = anyio.Event()
        self._failure = failure
        self._wait = wait

    async def select(
        self,
        matchers: Sequence[Matcher],
        hints: Hints,
        options: SelectOptions,
        context: RequestContext,
        budget: Budget,
    ) -> Selected:
        self.asked.append((tuple(matchers), hints, context))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await anyio.lowlevel.checkpoint()
            if self._wait:
                await anyio.sleep_forever()
            if self._failure is not None:
                raise self._failure
            return Selected(table_of(counters(hints), hints), ["something is missing"])
        finally:
            self.now -= 1
            self.ended.set()


def request(text: str, *, step: int = 0, timeout: float = 30.0, **more: object) -> QueryRequest:
    start = NOW - 10 * MINUTE if step else NOW
    given = {"text": text, "start": start, "end": NOW, "step": step, "timeout": timeout}
    return QueryRequest(select=SelectOptions(), **given, **more)  # type: ignore[arg-type]


class World:
    def __init__(self, select: FakeSelect, **options: object) -> None:
        self.registry = CollectorRegistry()
        self.engine = QueryEngine(select, EngineOptions(**options), EngineMetrics(self.registry))  # type: ignore[arg-type]

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


async def test_an_instant_vector_and_its_warnings() -> None:
    world = World(FakeSelect())
    answer = await world.engine.query(request("rate(a_total[5m])", stats=True))
    assert isinstance(answer.found, Columnar)
    value = answer.value
    assert isinstance(value, Vector)
    assert [(dict(each.labels), round(float(each.value), 9)) for each in value.samples] == [  # type: ignore[arg-type]
        ({"i": "1"}, 1.0),
        ({"i": "2"}, 2.0),
    ]
    assert answer.warnings == ["something is missing"]
    assert answer.stats is not None and answer.stats["timings"]["innerEvalTime"] > 0
    assert world.count("crossrealm_engine_queries_total", outcome="success") == 1
    assert world.count("crossrealm_engine_evaluations_total", path="fast") == 1


async def test_what_columns_do_not_serve_is_evaluated_all_the_same() -> None:
    world = World(FakeSelect(), features=ALL_FEATURES)
    answer = await world.engine.query(request("sort_desc(limitk(2, a_total))", step=MINUTE))
    assert isinstance(answer.value, Matrix)
    assert len(answer.value.rows) == 2
    assert answer.annotations.texts("warning")
    assert world.count("crossrealm_engine_evaluations_total", path="reference") == 1


async def test_both_ways_say_the_same() -> None:
    text = "sum by (i) (increase(a_total[3m] offset 1m)) / 2 > 60"
    fast = await World(FakeSelect()).engine.query(request(text, step=MINUTE))
    slow = await World(FakeSelect(), features=Features(delayed_name_removal=True)).engine.query(
        request(text, step=MINUTE)
    )
    assert isinstance(fast.value, Matrix) and isinstance(slow.value, Matrix)
    assert [row.labels for row in fast.value.rows] == [row.labels for row in slow.value.rows]
    for ours, theirs in zip(fast.value.rows, slow.value.rows, strict=True):
        assert ours.times.tolist() == theirs.times.tolist()
        assert ours.values.tolist() == pytest.approx(theirs.values.tolist())


async def test_selectors_are_asked_at_once_and_equal_ones_once() -> None:
    select = FakeSelect()
    await World(select, selects=2).engine.query(
        request('a_total + a_total + a_total{i="1"} + a_total offset 1m')
    )
    assert len(select.asked) == 3
    assert select.most == 2


async def test_hints_tell_what_is_needed() -> None:
    select = FakeSelect()
    await World(select).engine.query(request("sum by (i) (rate(a_total[5m] offset 1m))", step=MINUTE))
    ((_, hints, _),) = select.asked
    assert (hints.start, hints.end) == (NOW - 16 * MINUTE + 1, NOW - MINUTE)
    assert (hints.func, hints.range, hints.step) == ("rate", 5 * MINUTE, MINUTE)


async def test_enforced_matchers_reach_every_selector() -> None:
    select = FakeSelect()
    enforced = (("=", "tenant", "a"),)
    text = 'a_total{tenant="b"} and on () absent(other)'
    await World(select).engine.query(request(text, enforced=enforced, metadata={"thanos-tenant": "a"}))
    for matchers, _, context in select.asked:
        assert [each for each in matchers if each.name == "tenant"] == [Matcher("=", "tenant", "a")]
        assert context.metadata == {"thanos-tenant": "a"}


@pytest.mark.parametrize(
    ("text", "failure", "kind"),
    [
        ("sum(", None, ParseError),
        ("a_total + on (nothing) a_total", None, EvaluationError),
        ("a_total", CallError(Code.ABORTED, "an endpoint failed"), CallError),
    ],
)
async def test_failures_come_out_as_they_are(
    text: str, failure: Exception | None, kind: type[Exception]
) -> None:
    world = World(FakeSelect(failure))
    with pytest.raises(kind):
        await world.engine.query(request(text))
    assert world.count("crossrealm_engine_queries_total", outcome="error") == 1


@pytest.mark.parametrize("text", ['"x"', "a_total[5m]", "a_total[5m:1m]"])
async def test_what_has_no_range_is_refused_before_anything_is_fetched(text: str) -> None:
    select = FakeSelect()
    with pytest.raises(WrongKind, match="for range query, must be Scalar or instant Vector"):
        await World(select).engine.query(request(text, step=MINUTE))
    assert select.asked == []


async def test_too_many_samples() -> None:
    with pytest.raises(EvaluationError, match="too many samples"):
        await World(FakeSelect(), samples=5).engine.query(request("a_total", step=MINUTE))


async def test_a_query_that_takes_too_long_ends() -> None:
    world = World(FakeSelect(wait=True))
    with pytest.raises(QueryTimeout):
        await world.engine.query(request("a_total", timeout=0.01))
    assert world.count("crossrealm_engine_queries_total", outcome="timeout") == 1


@pytest.mark.alone
async def test_a_client_that_goes_away_ends_the_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread is told, and ends within 100 ms."""
    began, ended = threading.Event(), threading.Event()
    stopped = list[float]()

    def endless(
        _placed: object,
        _tables: object,
        _annotations: object,
        cancel: CancelFlag,
        _budget: object,
        _measuring: object,
    ) -> None:
        began.set()
        try:
            while True:
                cancel.check()
        finally:
            stopped.append(time.monotonic())
            ended.set()

    monkeypatch.setattr(querying, "evaluated", endless)
    world = World(FakeSelect(), features=Features(delayed_name_removal=True))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.engine.query, request("a_total"))
        await anyio.to_thread.run_sync(began.wait, 5.0)
        told = time.monotonic()
        tasks.cancel_scope.cancel()
    assert ended.wait(5.0)
    assert stopped[0] - told < 0.1
    assert world.count("crossrealm_engine_queries_total", outcome="canceled") == 1


async def test_slow_queries_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    await World(FakeSelect(), slow=1e-9).engine.query(request("a_total"))
    said = capsys.readouterr()
    assert "slow query" in said.out + said.err


def test_explanations_name_the_path() -> None:
    world = World(FakeSelect(), features=ALL_FEATURES)
    fast = world.engine.explain(request("sum(rate(a_total[5m]))"))
    assert str(fast["name"]).startswith("[fast] sum(")
    slow = str(world.engine.explain(request("limit_ratio(1, a_total)")))
    assert "reference" in slow and "limit_ratio" in slow


async def test_a_chain_that_is_too_deep_is_refused() -> None:
    with pytest.raises((ParseError, EvaluationError), match="nested too deeply"):
        await World(FakeSelect()).engine.query(request(" + ".join(["a_total"] * 20_000)))
