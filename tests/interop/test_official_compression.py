"""gzip with grpcio on the other side: its client against our listener, and its server's answers to us."""

from pathlib import Path

import anyio
import grpc
import grpc.aio
import pytest

from app.demo.answers import questions
from app.pb.thanos import LabelMatcher, LabelMatcherType, SeriesRequest, SeriesResponse
from tests.harness import Dataset, Shape, World, caller, load, official_store, world

pytestmark = pytest.mark.anyio


async def test_answers_in_gzip_are_read() -> None:
    dataset = Dataset("eu", "a", Shape(series=64))
    async with (
        official_store(dataset, compression=grpc.Compression.Gzip) as address,
        caller(address, None) as channel,
        load(channel, questions([dataset]), rate=200) as tally,
    ):
        with anyio.fail_after(60):
            while tally.calls < 100:  # noqa: ASYNC110
                await anyio.sleep(0.05)
    assert list(tally.faults) == []


async def series(here: World, compression: grpc.Compression) -> list[SeriesResponse]:
    request = SeriesRequest(
        min_time=0,
        max_time=10**14,
        matchers=[LabelMatcher(type=LabelMatcherType.RE, name="__name__", value=".+")],
    )
    async with grpc.aio.insecure_channel(here.querier.grpc_address, compression=compression) as channel:
        method = channel.unary_stream(
            "/thanos.Store/Series", request_serializer=bytes, response_deserializer=SeriesResponse.parse
        )
        call = method(request, timeout=20)
        found = [message async for message in call]
    return found


async def test_the_querier_answers_in_gzip_who_asks_in_gzip(tmp_path: Path) -> None:
    flags = ["--grpc-compression=snappy"]  # towards the stores, which are ours
    async with world(tmp_path, realms=["eu"], secure_front=False, flags=flags) as here:
        plain = await series(here, grpc.Compression.NoCompression)
        assert await series(here, grpc.Compression.Gzip) == plain
        assert len(plain) > 10
