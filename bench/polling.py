"""What it costs to know how a thousand endpoints are: Info over mTLS every five seconds."""

from contextlib import AsyncExitStack

import anyio
import psutil
from prometheus_client.parser import text_string_to_metric_families

from app.demo.probe import http_get
from app.demo.processes import running_store
from bench.endpoints import store_flags
from bench.figure import Figure
from bench.stage import querier, stage

PROCESSES, EACH = 4, 250
SETTLE = 15.0
SPAN = 30.0
"""Seconds."""
LAG = "crossrealm_event_loop_lag_seconds_bucket"


async def lag_buckets(url: str) -> dict[float, float]:
    _, body = await http_get(f"{url}/metrics")
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name == LAG
    }


def quantile(before: dict[float, float], after: dict[float, float], rank: float) -> float:
    """The upper bound of the bucket in which the quantile lies."""
    counts = {bound: after[bound] - before[bound] for bound in after}
    wanted = rank * max(counts.values())
    return min(bound for bound, count in counts.items() if count >= wanted)


async def run(runs: int) -> list[Figure]:
    """One span: CPU and loop lag of the querier while nobody asks it anything."""
    async with stage() as (root, material), AsyncExitStack() as stack:
        addresses: list[str] = []
        for number in range(PROCESSES):
            _, found = await stack.enter_async_context(
                running_store(f"stores-{number}", store_flags(material, EACH), root, limit=60)
            )
            addresses.extend(found)
        running = await stack.enter_async_context(querier(root, material, addresses))
        await anyio.sleep(SETTLE)
        process = psutil.Process(running.child.pid)
        before, busy = await lag_buckets(running.http_url), sum(process.cpu_times()[:2])
        await anyio.sleep(SPAN)
        after, busy = await lag_buckets(running.http_url), sum(process.cpu_times()[:2]) - busy
    endpoints = PROCESSES * EACH
    return [
        Figure(
            name=f"Info of {endpoints} mTLS endpoints every 5 s: CPU",
            value=busy / SPAN,
            unit="cores",
            target=0.5,
            better="<",
        ),
        Figure(
            name=f"Info of {endpoints} mTLS endpoints every 5 s: loop lag p99, at most",
            value=quantile(before, after, 0.99) * 1e3,
            unit="ms",
            target=5,
            better="<=",
            detail=f"p50 at most {quantile(before, after, 0.5) * 1e3:g} ms",
        ),
    ]
