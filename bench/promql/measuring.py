"""The nine queries on both sides, in turn."""

import statistics
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bench.figure import Figure
from bench.promql.asking import Sides, WebClient, check_equal
from bench.promql.data import Dataset, dataset
from bench.promql.memory import measure_memory
from bench.promql.plan import QUERIES, Plan, target_of
from bench.promql.profile import profile
from bench.promql.scene import Behind, behind, prometheus, range_path, ready_querier
from bench.promql.small import measure_clients, measure_small
from bench.promql.thanos import thanos
from bench.stage import Material, stage

Show = Callable[[Figure], None]


async def run(plan: Plan, show: Show) -> None:
    """All that the plan has; each figure is shown when it is there.

    :raises Differ: the two sides do not say the same.
    """
    for series in plan.series:
        data = dataset(series, plan.cache)
        async with stage() as (root, material), behind(root, material, data, plan.topology) as below:
            client = WebClient()
            try:
                async with both(plan, root, material, below, data) as sides:
                    await _asked(plan, data, sides, below, client, show)
                if "memory" in plan.parts and series == max(plan.series) and not plan.profile:
                    for query in plan.queries:
                        async with both(plan, root, material, below, data) as sides:
                            show(await measure_memory(plan, data, sides, client, query))
            finally:
                client.close()


@asynccontextmanager
async def both(
    plan: Plan, root: Path, material: Material, below: Behind, data: Dataset
) -> AsyncIterator[Sides]:
    """Fresh processes."""
    peer = (
        prometheus(root, data.whole, "alone", {})
        if plan.thanos is None
        else thanos(plan.thanos, root, material, below)
    )
    async with peer as other, ready_querier(root, material, below, data) as above:
        yield Sides(above, other, alike=plan.thanos is None)


async def _asked(
    plan: Plan, data: Dataset, sides: Sides, below: Behind, client: WebClient, show: Show
) -> None:
    if plan.profile:
        await profile(plan, data, sides, below, client)
        return
    if "times" in plan.parts:
        for step in plan.steps:
            ratios = []
            for query in plan.queries:
                figure = await _measured(plan, data, sides, client, query, step)
                ratios.append(figure.value)
                show(figure)
            show(_median(plan, data, step, ratios))
    if series_of(plan) == data.series:
        if "small" in plan.parts:
            await measure_small(plan, data, sides, client, show)
        if "clients" in plan.parts:
            await measure_clients(plan, data, sides, client, show)


def series_of(plan: Plan) -> int:
    """The size at which small queries are measured: how many other series there are matters little."""
    return min(plan.series)


async def _measured(
    plan: Plan, data: Dataset, sides: Sides, client: WebClient, query: str, step: int
) -> Figure:
    path = range_path(QUERIES[query], step)
    same = await check_equal(sides, f"{query}, step {step} s", path)  # warms both up, too
    seconds: tuple[list[float], list[float]] = ([], [])
    size = 0
    for number in range(plan.runs):
        for side in (0, 1) if number % 2 else (1, 0):
            report = await client.ask(sides.servers[side], [path])
            seconds[side].append(report.seconds[0])
            size = report.size
    ours, theirs = (statistics.median(each) for each in seconds)
    print(f"{query}: {[[round(one, 3) for one in each] for each in seconds]}", file=sys.stderr)
    return Figure(
        name=f"promql {plan.topology}, {data.series} series, step {step} s: {query}",
        value=ours / theirs,
        unit="",
        target=plan.target(target_of(data.series).of(query)),
        better="<=",
        detail=f"querier {ours * 1e3:.0f} ms, {plan.peer} {theirs * 1e3:.0f} ms;"
        f" {size / 1e6:.1f} MB, {'the same bytes' if same else 'equal' if sides.alike else 'not compared'}",
    )


def _median(plan: Plan, data: Dataset, step: int, ratios: list[float]) -> Figure:
    return Figure(
        name=f"promql {plan.topology}, {data.series} series, step {step} s: median of {len(ratios)}",
        value=statistics.median(ratios),
        unit="",
        target=plan.target(target_of(data.series).median),
        better="<=",
    )
