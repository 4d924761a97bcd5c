"""How much a query makes the resident memory grow, of processes that answered only a small one before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import psutil

from bench.figure import Figure
from bench.promql.asking import Sides, WebClient
from bench.promql.data import Dataset
from bench.promql.plan import MEMORY, QUERIES, Plan
from bench.promql.scene import Server, range_path
from bench.promql.small import small_paths

_EVERY = 0.02
"""Seconds between two looks where the kernel keeps no peak for us."""
_RESET_PEAK = "5"
"""proc(5), `clear_refs`."""


class Peak:
    """Mutable: the highest resident memory seen, in bytes."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._status = Path(f"/proc/{pid}/status")
        self.before = self._process.memory_info().rss
        self._seen = self.before
        try:
            Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)
            self.kept = True
        except OSError:
            self.kept = False

    def look(self) -> None:
        self._seen = max(self._seen, self._process.memory_info().rss)

    @property
    def growth(self) -> int:
        if self.kept:
            for line in self._status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self._seen = int(line.split()[1]) * 1024
        return max(0, self._seen - self.before)


@asynccontextmanager
async def peak_of(pid: int) -> AsyncIterator[Peak]:
    """Watch a process for as long as the scope is open."""
    peak = Peak(pid)

    async def sample() -> None:
        while True:
            peak.look()
            await anyio.sleep(_EVERY)

    async with anyio.create_task_group() as tasks:
        if not peak.kept:
            tasks.start_soon(sample)
        yield peak
        tasks.cancel_scope.cancel()


async def _growth(client: WebClient, server: Server, path: str) -> float:
    """In MB."""
    await client.ask(server, list(small_paths().values()), count=len(small_paths()))
    async with peak_of(server.pid) as peak:
        await client.ask(server, [path])
        return peak.growth / 1e6


async def measure_memory(plan: Plan, data: Dataset, sides: Sides, client: WebClient, query: str) -> Figure:
    """One query, once on each side."""
    step = min(plan.steps)
    path = range_path(QUERIES[query], step)
    theirs, ours = [await _growth(client, server, path) for server in (sides.prometheus, sides.querier)]
    return Figure(
        name=f"promql {plan.topology}, {data.series} series, step {step} s: {query}, growth of memory",
        value=ours / theirs,
        unit="",
        target=plan.target(MEMORY),
        better="<=",
        detail=f"querier {ours:.0f} MB, {plan.peer} {theirs:.0f} MB",
    )
