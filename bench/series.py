"""Series through the querier, against what a stock client gets from one endpoint directly.

Four endpoints on grpcio with disjoint series that interleave; mTLS in and out; merged. The peer: grpclib as
it comes, reading one of those endpoints over mTLS. The runs alternate.
"""

import statistics
from contextlib import AsyncExitStack

import psutil

from bench.asking import Asker
from bench.figure import Figure
from bench.stage import official_stores, querier, stage

ENDPOINTS = 4
SERIES = 40_000
"""Of each endpoint: 48 MB."""


async def measure(runs: int, batch: int, target: float) -> list[Figure]:
    """The ratio for one size of batch; both sides use it."""
    async with stage() as (root, material), AsyncExitStack() as stack:
        addresses = await official_stores(stack, root, material, ENDPOINTS, SERIES, batch)
        running = await stack.enter_async_context(querier(root, material, addresses))
        ours = Asker("official", running.grpc_address, batch, material)
        stack.callback(ours.close)
        theirs = Asker("stock", addresses[0], batch, material)
        stack.callback(theirs.close)
        await _check(ours, theirs)
        process = psutil.Process(running.child.pid)
        rates: dict[str, list[float]] = {"ours": [], "stock": []}
        busy = 0.0
        for _ in range(runs):
            rates["stock"].append(SERIES / (await theirs.ask())["seconds"])
            before = sum(process.cpu_times()[:2])
            rates["ours"].append(ENDPOINTS * SERIES / (await ours.ask())["seconds"])
            busy += sum(process.cpu_times()[:2]) - before
        own, stock = (statistics.median(rates[name]) for name in ("ours", "stock"))
        cpu = busy / (runs * ENDPOINTS * SERIES) * 1e6
        label = f"batches of {batch}" if batch > 1 else "one series a message"
        return [
            Figure(
                name=f"series, {label}: querier / stock client",
                value=own / stock,
                unit="",
                target=target,
                detail=f"{own:,.0f} against {stock:,.0f} series/s;"
                f" {cpu:.1f} µs of the querier's CPU a series",
            )
        ]


async def _check(ours: Asker, theirs: Asker) -> None:
    """Once, untimed: nothing is missing, nothing is there twice, and everything is in order."""
    found = await ours.ask("check")
    again = await ours.ask("check")
    direct = await theirs.ask("check")
    if found["series"] != ENDPOINTS * SERIES or direct["series"] != SERIES:
        raise RuntimeError(f"{found['series']} and {direct['series']} series came, not {ENDPOINTS * SERIES}")
    if found["digest"] != again["digest"]:
        raise RuntimeError("two answers to one question differ")


async def run(runs: int) -> list[Figure]:
    """Both sizes of batch."""
    return [*await measure(runs, 64, 0.7), *await measure(runs, 1, 0.5)]
