"""Series through the querier, against what a stock client gets from one endpoint directly.

Four endpoints on grpcio with disjoint series that interleave; mTLS in and out; merged. The peer: grpclib as
it comes, reading one of those endpoints over mTLS. The runs alternate.
"""

import json
import statistics
import subprocess
import sys
from contextlib import AsyncExitStack
from typing import Any

import anyio.to_thread
import psutil

from bench.figure import Figure
from bench.stage import Material, program, querier, stage

ENDPOINTS = 4
SERIES = 40_000
"""Of each endpoint: 48 MB."""


class Asker:
    """A client in a process of its own; asked over its stdin."""

    def __init__(self, client: str, address: str, batch: int, material: Material) -> None:
        command = [
            sys.executable,
            "-m",
            "bench.asker",
            client,
            address,
            f"--batch={batch}",
            *material.flags(),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    async def ask(self, line: str = "ask") -> dict[str, Any]:
        """One call."""
        return await anyio.to_thread.run_sync(self._ask, line)

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the client ended")
        return dict(json.loads(answer))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


async def measure(runs: int, batch: int, target: float) -> list[Figure]:
    """The ratio for one size of batch; both sides use it."""
    async with stage() as (root, material), AsyncExitStack() as stack:
        addresses = []
        for index in range(ENDPOINTS):
            flags = [f"--index={index}", f"--of={ENDPOINTS}", f"--series={SERIES}", f"--batch={batch}"]
            _, found = await stack.enter_async_context(
                program("bench.official_store", f"store-{index}", [*flags, *material.flags()], root)
            )
            addresses.extend(found)
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
                detail=f"{own:,.0f} against {stock:,.0f} series/s; {cpu:.1f} µs of the querier's CPU a series",
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
