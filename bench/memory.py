"""Half a gigabyte for a client that reads slowly: the endpoints wait, the querier does not fill up."""

from contextlib import AsyncExitStack

import anyio
import psutil

from bench.asking import Asker
from bench.figure import Figure
from bench.official_store import SERIES_SIZE
from bench.stage import official_stores, querier, stage

ENDPOINTS = 4
ANSWER = 500_000_000
RATE = 20_000_000
MEGABYTE = 1e6


async def run(runs: int) -> list[Figure]:
    """One answer. What is measured is the growth of the resident memory over what it was before, and after
    a small answer had warmed everything up."""
    async with stage() as (root, material), AsyncExitStack() as stack:
        series = ANSWER // SERIES_SIZE // ENDPOINTS
        addresses = await official_stores(stack, root, material, ENDPOINTS, series, 64)
        running = await stack.enter_async_context(querier(root, material, addresses))
        asker = Asker("official", running.grpc_address, 64, material, [f"--rate={RATE}"])
        stack.callback(asker.close)
        process = psutil.Process(running.child.pid)
        before = peak = process.memory_info().rss
        answer: dict[str, float] = {}

        async def ask() -> None:
            answer.update(await asker.ask())
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            while True:
                peak = max(peak, process.memory_info().rss)
                await anyio.sleep(0.05)
    return [
        Figure(
            name="growth over a 500 MB answer read at 20 MB/s",
            value=(peak - before) / MEGABYTE,
            unit="MB",
            target=150,
            better="<",
            detail=f"{answer['bytes'] / MEGABYTE:.0f} MB in {answer['seconds']:.0f} s;"
            f" from {before / MEGABYTE:.0f} MB",
        )
    ]
