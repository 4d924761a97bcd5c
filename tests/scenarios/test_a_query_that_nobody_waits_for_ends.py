"""A query whose client has gone, or whose time is over, uses no processor any more; one that wants too much
memory is refused, and the querier goes on."""

import json
import time
from pathlib import Path
from urllib.parse import urlencode

import anyio
import psutil
import pytest

from app.demo.dataset import DEFAULT_START
from tests.harness import world
from tests.harness.querier import Querier

pytestmark = pytest.mark.anyio

ENDLESS = 'sum(quantile_over_time(0.5, {__name__=~".+"}[2h:1s]))'
"""Hours of work, at all of the steps below."""
HUNGRY = 'label_replace({__name__=~".+"}, "a", "$1", "b", "(.*)")[20h:1s]'
MEMORY = 32 * 1024 * 1024
IDLE = 0.2
"""Of a processor. What a querier uses that is asked for nothing."""


def path(query: str, **more: str) -> str:
    start = DEFAULT_START // 1000
    span = {"start": str(start), "end": str(start + 3600), "step": "1"}
    return "/api/v1/query_range?" + urlencode({"query": query, **span, **more})


async def until_idle(process: psutil.Process, limit: float) -> None:
    """Wait until the process uses next to no processor, for a tenth of a second.

    :param limit: seconds.
    """
    with anyio.fail_after(limit):
        while True:
            begun, before = time.monotonic(), sum(process.cpu_times()[:2])
            await anyio.sleep(0.1)
            used = sum(process.cpu_times()[:2]) - before
            if used <= IDLE * (time.monotonic() - begun):
                return


async def running(querier: Querier) -> float:
    return await querier.metric("thanos_query_concurrent_gate_queries_in_flight")


async def test_a_query_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    flags = [f"--query.max-memory={MEMORY}"]
    async with world(tmp_path, realms=["eu"], replicas=["a"], secure_front=False, flags=flags) as here:
        querier = here.querier
        process = psutil.Process(querier.child.pid)
        host, _, port = querier.http_url.removeprefix("http://").rpartition(":")
        await until_idle(process, 20)

        async with await anyio.connect_tcp(host, int(port)) as client:
            await client.send(f"GET {path(ENDLESS)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            with anyio.fail_after(20):
                while not await running(querier):
                    pass
                busy = sum(process.cpu_times()[:2])
                while sum(process.cpu_times()[:2]) < busy + 0.3:  # it computes by now
                    await running(querier)
        await until_idle(process, 5)
        assert await running(querier) == 0
        assert await querier.metric("crossrealm_engine_queries_total", outcome="canceled") == 1

        status, body = await querier.get(path(ENDLESS, timeout="500ms"))
        assert (status, json.loads(body)["errorType"]) == (503, "timeout")
        await until_idle(process, 5)

        before = process.memory_info().rss
        status, body = await querier.get(path(f"sum(max_over_time({HUNGRY}))"))
        assert (status, json.loads(body)["errorType"]) == (422, "execution")
        assert "--query.max-memory" in json.loads(body)["error"]
        assert process.memory_info().rss - before < 4 * MEMORY
        assert (await querier.get("/api/v1/query?query=1"))[0] == 200
