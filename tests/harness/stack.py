"""The native stack, and what Prometheus itself says of what comes out of it."""

import json
import time
import urllib.parse
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import grpc.aio

from app.demo.probe import http_get
from app.pb.thanos import LabelMatcher, LabelMatcherType, Series, SeriesRequest, SeriesResponse
from app.stack.scene import Member, Options, Stack, running_stack
from tests.harness.load import official
from tests.harness.programs import program
from tests.harness.xor import decode

LabelSet = frozenset[tuple[str, str]]
Samples = dict[LabelSet, list[tuple[int, float]]]
"""Milliseconds since the epoch and value, by label set."""


@asynccontextmanager
async def stack(directory: Path, *, samples: int = 6, **options: Any) -> AsyncIterator[Stack]:
    """The stack with quick heartbeats, entered when every Prometheus has scraped so often.

    :param options: of `app.stack.scene.Options`.
    """
    program("prometheus")
    async with running_stack(directory, Options(heartbeat=0.5, **options)) as running:
        for member in running.members.values():
            await until(partial(_count, member), lambda count: count >= samples, "scrapes")
        yield running


async def _count(member: Member) -> int:
    found = await instant(member.prometheus.url, "min(count_over_time(example_requests_total[1h]))")
    return int(float(found[0]["value"][1])) if found else 0


async def until(
    look: Callable[[], Any], holds: Callable[[Any], bool], what: str, *, limit: float = 40.0
) -> Any:
    """Look again and again until it holds; what was seen then.

    :raises AssertionError: it never did.
    """
    seen = None
    with anyio.move_on_after(limit):
        while True:
            seen = await look()
            if holds(seen):
                return seen
            await anyio.sleep(0.1)
    raise AssertionError(f"{what}: not within {limit} s: {seen}")


async def get(url: str, **params: str) -> Any:
    """The data of an answer of Prometheus's API."""
    status, body = await http_get(f"{url}?{urllib.parse.urlencode(params)}" if params else url)
    assert status == 200, (url, status, body)
    return json.loads(body)["data"]


async def instant(url: str, query: str, at: float | None = None) -> Any:
    params = {"query": query} if at is None else {"query": query, "time": f"{at:.3f}"}
    return (await get(f"{url}/api/v1/query", **params))["result"]


async def own_samples(member: Member, selector: str, start: int, end: int) -> Samples:
    """What a Prometheus itself answers for a selector, with its external labels.

    :param start, end: milliseconds since the epoch, both inclusive.
    """
    # A range vector has its samples as they were scraped. Ranges of this version include both ends.
    found = await instant(member.prometheus.url, f"{selector}[{end - start}ms]", end / 1000)
    return {
        frozenset({**series["metric"], **member.external_labels}.items()): [
            (round(at * 1000), float(value)) for at, value in series["values"]
        ]
        for series in found
    }


def samples_of(series: Iterable[Series], start: int, end: int) -> Samples:
    """The samples in the chunks of an answer, cut to a range; no label set twice."""
    found: Samples = {}
    for each in series:
        labels = frozenset((label.name, label.value) for label in each.labels)
        assert labels not in found
        assert [label.name for label in each.labels] == sorted({name for name, _ in labels})
        chunks = [chunk.raw.data for chunk in each.chunks if chunk.raw]
        decoded = [sample for chunk in chunks for sample in decode(chunk, growing=True)]
        assert decoded == sorted(decoded)
        inside = [sample for sample in decoded if start <= sample[0] <= end]
        if inside:
            found[labels] = inside
    return found


def matching(name: str, value: str, kind: LabelMatcherType = LabelMatcherType.EQ) -> LabelMatcher:
    return LabelMatcher(type=kind, name=name, value=value)


def settled_range(seconds: float = 4.0) -> tuple[int, int]:
    """A range that nothing is scraped into any more, in milliseconds since the epoch."""
    end = round((time.time() - 1.5) * 1000)
    return end - round(seconds * 1000), end


async def ask_series(
    channel: grpc.aio.Channel, matchers: Sequence[LabelMatcher], start: int, end: int, **more: Any
) -> tuple[list[Series], list[str]]:
    """Series and warnings, through grpcio."""
    request = SeriesRequest(min_time=start, max_time=end, matchers=list(matchers), **more)
    method = channel.unary_stream(
        "/thanos.Store/Series", request_serializer=bytes, response_deserializer=SeriesResponse.parse
    )
    series: list[Series] = []
    warnings: list[str] = []
    async for answer in method(request, timeout=20):
        if answer.warning is not None:
            warnings.append(answer.warning)
        elif answer.batch is not None:
            series.extend(answer.batch.series)
        elif answer.series is not None:
            series.append(answer.series)
    return series, warnings


async def ask_one(channel: grpc.aio.Channel, path: str, request: Any, answer: Any) -> Any:
    """A unary call, through grpcio."""
    method = channel.unary_unary(path, request_serializer=bytes, response_deserializer=answer.parse)
    return await method(request, timeout=20)


async def ask_many(channel: grpc.aio.Channel, path: str, request: Any, answer: Any) -> list[Any]:
    """A streaming call, through grpcio."""
    method = channel.unary_stream(path, request_serializer=bytes, response_deserializer=answer.parse)
    return [message async for message in method(request, timeout=20)]


@asynccontextmanager
async def asking(running: Stack) -> AsyncIterator[grpc.aio.Channel]:
    """grpcio, at the global querier."""
    async with official(running.querier.grpc_address, running.front) as channel:
        yield channel


def labels_of(pairs: Mapping[str, str], member: Member) -> dict[str, str]:
    """Labels as they come out: the external ones win."""
    return {**pairs, **member.external_labels}
