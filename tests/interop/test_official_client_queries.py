"""The Query API with grpcio on the other side, over real stores."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio
import grpc
import grpc.aio
import pytest

from app.demo.dataset import DEFAULT_START, INTERVAL
from app.demo.store_options import Faults
from app.pb import thanos as pb
from app.pb.prometheus_copy import TimeSeries
from app.pb.thanos.info import InfoRequest, InfoResponse
from tests.harness import world

pytestmark = pytest.mark.anyio
START = DEFAULT_START // 1000 + 300


async def ask(address: str, method: str, request: Any, **options: Any) -> list[pb.QueryResponse]:
    async with grpc.aio.insecure_channel(address, **options) as channel:
        stream = channel.unary_stream(
            f"/thanos.Query/{method}", request_serializer=bytes, response_deserializer=pb.QueryResponse.parse
        )
        return [message async for message in stream(request, timeout=20)]


def series(found: Iterable[pb.QueryResponse]) -> list[TimeSeries]:
    return [
        each
        for message in found
        for each in (
            message.timeseries_batch.series
            if message.timeseries_batch
            else filter(None, [message.timeseries])
        )
    ]


def labels(found: TimeSeries) -> dict[str, str]:
    return {label.name: label.value for label in found.labels}


def instant(query: str, **fields: Any) -> pb.QueryRequest:
    fields = {"enable_dedup": True, "replica_labels": ["replica"], "time_seconds": START, **fields}
    return pb.QueryRequest(query=query, **fields)


async def test_queries_are_answered(tmp_path: Path) -> None:
    async with world(tmp_path, realms=["eu", "us"], secure_front=False) as here:
        address = here.querier.grpc_address

        counted = await ask(address, "Query", instant("count by (realm) (up)"))
        assert {labels(each)["realm"]: each.samples[0].value for each in series(counted)} == {
            "eu": 16,
            "us": 16,
        }
        assert counted[-1].stats is not None
        assert [each.warnings for each in counted if each.warnings] == []

        doubled = await ask(address, "Query", instant("count(up)", enable_dedup=False))
        assert series(doubled)[0].samples[0].value == 64

        ranged = pb.QueryRangeRequest(
            query='rate(http_requests_total{realm="eu"}[2m])',
            start_time_seconds=START,
            end_time_seconds=START + 600,
            interval_seconds=INTERVAL // 1000,
            enable_dedup=True,
            replica_labels=["replica"],
            response_batch_size=5,
        )
        rates = await ask(address, "QueryRange", ranged)
        assert [len(each.timeseries_batch.series) for each in rates if each.timeseries_batch] == [5, 5, 5, 1]
        assert {len(each.samples) for each in series(rates)} == {41}
        assert all(math.isfinite(sample.value) for each in series(rates) for sample in each.samples)

        squeezed = await ask(address, "QueryRange", ranged, compression=grpc.Compression.Gzip)
        assert squeezed == rates

        chosen = [
            pb.LabelMatcher(
                name="__address__", type=pb.LabelMatcherType.EQ, value=here.stores["us", "a"].address
            )
        ]
        only = instant("count by (realm) (up)", store_matchers=[pb.StoreMatchers(label_matchers=chosen)])
        assert [labels(each) for each in series(await ask(address, "Query", only))] == [{"realm": "us"}]


async def test_faults_have_their_codes(tmp_path: Path) -> None:
    async with world(tmp_path, realms=["eu"], secure_front=False) as here:
        address = here.querier.grpc_address
        for request, code in (
            (instant("up{"), grpc.StatusCode.INVALID_ARGUMENT),
            (instant("up + on(realm) up"), grpc.StatusCode.ABORTED),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(address, "Query", request)
            assert caught.value.code() is code
        (said,) = await ask(address, "Query", instant("up + on(realm) up", enable_partial_response=True))
        assert "matching" in (said.warnings or "")


async def test_an_endpoint_that_fails_is_a_warning_or_an_error(tmp_path: Path) -> None:
    faults = {("eu", "b"): Faults(fail="UNAVAILABLE")}
    async with world(tmp_path, realms=["eu"], secure_front=False, faults=faults) as here:
        address = here.querier.grpc_address
        found = await ask(address, "Query", instant("count(up)", enable_partial_response=True))
        assert series(found)[0].samples[0].value == 16
        assert "eu/" in (found[0].warnings or "")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(address, "Query", instant("count(up) + sum(up)"))
        assert caught.value.code() is grpc.StatusCode.ABORTED


async def test_a_query_that_is_dropped_gives_its_place_back(tmp_path: Path) -> None:
    flags = ["--query.max-concurrent=1"]
    async with world(tmp_path, realms=["eu"], secure_front=False, flags=flags) as here:
        slow = pb.QueryRangeRequest(
            query='sum(rate({__name__=~".+"}[1h:1s]))',
            start_time_seconds=START,
            end_time_seconds=START + 3600,
            interval_seconds=1,
        )
        async with grpc.aio.insecure_channel(here.querier.grpc_address) as channel:
            stream = channel.unary_stream("/thanos.Query/QueryRange", request_serializer=bytes)
            call = stream(slow)
            with anyio.fail_after(20):
                while not await here.querier.metric("thanos_query_concurrent_gate_queries_in_flight"):
                    pass
                call.cancel()
                (found,) = series(await ask(here.querier.grpc_address, "Query", instant("vector(1)")))
        assert found.samples[0].value == 1


async def test_the_api_is_announced(tmp_path: Path) -> None:
    async with (
        world(tmp_path, realms=["eu"], replicas=["a"], secure_front=False) as here,
        grpc.aio.insecure_channel(here.querier.grpc_address) as channel,
    ):
        info = channel.unary_unary("/thanos.info.Info/Info", response_deserializer=InfoResponse.parse)
        answer = await info(bytes(InfoRequest()), timeout=20)
    assert answer.query is not None
