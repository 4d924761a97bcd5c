"""Selecting from real gRPC servers: replicas that overlap, endpoints that fail or stall, cancellation."""

import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import msgspec
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from app.demo.dataset import INTERVAL, Dataset, Shape, StoredSeries
from app.demo.store_options import Faults
from app.endpoints.model import BlockStream, EndpointView
from app.engine.cancelling import Cancelled
from app.engine.model import Hints, Labels
from app.engine.promql.ast import Matcher
from app.engine.select import fetch
from app.engine.select.decode import decode
from app.engine.select.fetch import Selected, Selecting
from app.engine.select.intake import Bytes
from app.engine.select.model import SelectOptions
from app.errors import CallError, Code
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions, RequestContext
from app.rpc.channel import Channel
from app.rpc.metrics import ClientMetrics
from app.rpc.model import Metadata
from tests.harness.official_store import official_store
from tests.unit.engine.select import twins
from tests.unit.engine.select.twins import Sample, answered
from tests.unit.fanout.answers import FakeChannel, FakeEndpoints, batch, view

pytestmark = pytest.mark.anyio

REALM = Matcher("=", "realm", "eu")
SHAPE = Shape(series=96)
START = SHAPE.start + 3 * INTERVAL
END = SHAPE.start + 170 * INTERVAL
REPLICAS = SelectOptions(replica_labels=("replica",))


class Endpoint(msgspec.Struct, frozen=True):
    """A store to start."""

    replica: str
    faults: Faults = Faults()


@asynccontextmanager
async def _running(*endpoints: Endpoint) -> AsyncIterator[list[EndpointView]]:
    """grpcio's servers, and our channels to them."""
    async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
        views = []
        for endpoint in endpoints:
            dataset = Dataset("eu", endpoint.replica, SHAPE)
            address = await stack.enter_async_context(official_store(dataset, faults=endpoint.faults))
            channel = Channel(address, group="eu", tls=None, metrics=ClientMetrics(CollectorRegistry()))
            await tasks.start(channel.run)
            stack.push_async_callback(channel.aclose, 1.0)
            supports = not endpoint.faults.keep_replica_labels
            views.append(msgspec.structs.replace(view(address, supports=supports), channel=channel))
        yield views
        await stack.aclose()
        tasks.cancel_scope.cancel()


async def _select(
    views: Sequence[EndpointView],
    *,
    func: str = "",
    options: SelectOptions = REPLICAS,
    response_timeout: float = 0.0,
    timeout: float | None = 20.0,
) -> Selected:
    selecting = Selecting(
        FakeEndpoints(*views),
        FanoutOptions(response_timeout=response_timeout),
        FanoutMetrics(CollectorRegistry()),
    )
    hints = Hints(start=START, end=END, func=func)
    return await selecting.select([REALM], hints, options, RequestContext(metadata={}, timeout=timeout))


def _samples(selected: Selected) -> dict[Labels, list[Sample]]:
    found = decode(selected.table, np.zeros(1, np.uint8))
    return {each.labels: twins.zipped(each.times, each.values) for each in found}


def _wanted(*replicas: str, counter: bool = False) -> dict[Labels, list[Sample]]:
    """What the stores hold, merged by the twins."""
    chunks: dict[Labels, list[tuple[int, int, bytes]]] = {}
    for replica in replicas:
        for series in Dataset("eu", replica, SHAPE).series:
            labels = tuple(label for label in series.labels if label[0] != "replica")
            chunks.setdefault(labels, []).extend(_within(series))
    merged = {}
    for labels, found in chunks.items():
        lanes = [twins.bounded([data for _, _, data in lane], START, END) for lane in twins.lanes_of(found)]
        if counter and len(lanes) > 1:
            lanes = [twins.running_total(lane) for lane in lanes]
        merged[labels] = twins.penalty_all(lanes, counter=counter)
    return merged


def _within(series: StoredSeries) -> list[tuple[int, int, bytes]]:
    return [
        (chunk.min_time, chunk.max_time, chunk.data)
        for chunk in series.chunks
        if chunk.min_time <= END and chunk.max_time >= START
    ]


@pytest.mark.parametrize("func", ["", "rate"])
async def test_overlapping_replicas_are_merged(func: str) -> None:
    old = Faults(keep_replica_labels=True, reversed_order=True, one_per_message=True)
    async with _running(Endpoint("a"), Endpoint("b", old), Endpoint("a")) as views:
        got = await _select(views, func=func)
    assert got.warnings == []
    assert _samples(got) == _wanted("a", "b", counter=func == "rate")


async def test_a_failing_endpoint_is_a_warning_or_an_error() -> None:
    async with _running(Endpoint("a"), Endpoint("b", Faults(fail="UNAVAILABLE"))) as views:
        got = await _select(views)
        (said,) = got.warnings
        assert said.startswith(f"receive series from eu/{views[1].address}: UNAVAILABLE")
        assert _samples(got) == _wanted("a")
        abort = msgspec.structs.replace(REPLICAS, abort=True)
        with pytest.raises(CallError, match=views[1].address) as raised:
            await _select(views, options=abort)
        assert raised.value.code is Code.ABORTED


async def test_an_endpoint_that_falls_silent_is_given_up() -> None:
    async with _running(Endpoint("a"), Endpoint("b", Faults(stall_after=0))) as views:
        got = await _select(views, response_timeout=0.3)
        assert "failed to receive any data in 0.3 s" in got.warnings[0]
        assert _samples(got) == _wanted("a")
        late = await _select(views, timeout=0.3)
        assert "DEADLINE_EXCEEDED" in late.warnings[0]


class _Stalling(FakeChannel):
    """Mutable: sends its first block, and then says so and nothing more.

    :ivar open: calls that are under way.
    """

    def __init__(self, first: bytes) -> None:
        super().__init__("stalling:1", [first])
        self.waiting = anyio.Event()
        self.open = 0

    @asynccontextmanager
    async def stream(
        self, method: str, request: bytes, *, timeout: float | None, metadata: Metadata, window: int = 0
    ) -> AsyncIterator[BlockStream]:
        self.open += 1
        try:
            async with super().stream(method, request, timeout=timeout, metadata=metadata) as stream:
                yield _Stream(stream, self.waiting)
        finally:
            self.open -= 1


class _Stream:
    """Mutable: what is left of the first block."""

    def __init__(self, blocks: BlockStream, waiting: anyio.Event) -> None:
        self._blocks = blocks
        self._waiting = waiting

    async def next_block(self) -> bytes | bytearray | None:
        block = await self._blocks.next_block()
        if block is None:
            self._waiting.set()
            await anyio.sleep_forever()
        return block

    def release(self) -> None:
        pass


async def test_cancelling_ends_the_calls() -> None:
    channel = _Stalling(batch(answered({"a": "b"}, [(START, 1.0)])))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_select, [view("stalling:1", channel)])
        with anyio.fail_after(5):
            await channel.waiting.wait()
        assert channel.open == 1
        tasks.cancel_scope.cancel()
    assert channel.open == 0


async def test_a_failure_ends_the_other_calls() -> None:
    stalling = _Stalling(batch(answered({"a": "b"}, [(START, 1.0)])))
    failing = FakeChannel("failing:1", [CallError(Code.UNAVAILABLE, "gone")])
    views = [view("stalling:1", stalling), view("failing:1", failing)]
    with pytest.raises(CallError, match="failing:1"), anyio.fail_after(5):
        await _select(views, options=SelectOptions(abort=True))
    assert stalling.open == 0


async def test_cancelling_ends_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    started, ended = anyio.Event(), threading.Event()

    def slow(intake: object, purpose: object, cancel: Bytes) -> None:
        anyio.from_thread.run_sync(started.set)
        while not cancel[0]:
            os.sched_yield()
        ended.set()
        raise Cancelled

    monkeypatch.setattr(fetch, "assemble", slow)
    monkeypatch.setattr(fetch, "SMALL", -1)
    channel = FakeChannel("s:1", [batch(answered({"a": "b"}, [(START, 1.0)]))])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_select, [view("s:1", channel)])
        with anyio.fail_after(5):
            await started.wait()
        tasks.cancel_scope.cancel()
    assert await anyio.to_thread.run_sync(ended.wait, 5.0)


async def test_a_large_answer_is_assembled_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SMALL", -1)
    channel = FakeChannel("s:1", [batch(answered({"a": "b"}, [(START, 1.0)]))])
    assert _samples(await _select([view("s:1", channel)])) == {(("a", "b"),): [(START, 1.0)]}
