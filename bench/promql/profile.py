"""Where the querier's time goes, by its own statistics, and who uses the processors meanwhile."""

import re
import statistics
from collections.abc import Mapping, Sequence

import msgspec

from bench.promql.asking import Sides, WebClient, check_equal
from bench.promql.data import Dataset
from bench.promql.plan import QUERIES, Plan
from bench.promql.scene import Behind, cpu_seconds, range_path

_TIMINGS = re.compile(r'"timings":(\{[^{}]*\})')


async def profile(plan: Plan, data: Dataset, sides: Sides, below: Behind, client: WebClient) -> None:
    """A line for each query and step: milliseconds, the medians.

    What is neither fetched nor evaluated is JSON, the way to the client, and parsing.
    """
    processes = {"querier": [sides.querier.pid], **below.pids}
    for step in plan.steps:
        print(f"{plan.topology}, {data.series} series, step {step} s; ms")
        head = ["wall", "fetch", "evaluate", "JSON", *(f"CPU of {name}" for name in processes)]
        print(f"  {'query':20}" + "".join(f"{each:>26}" if "CPU" in each else f"{each:>10}" for each in head))
        for query in plan.queries:
            path = range_path(QUERIES[query], step, stats=True)
            await check_equal(sides, query, range_path(QUERIES[query], step))
            rows = [await _row(sides, client, path, processes) for _ in range(plan.runs)]
            medians = [statistics.median(column) * 1e3 for column in zip(*rows, strict=True)]
            shown = "".join(f"{each:10.0f}" for each in medians[:4])
            print(f"  {query:20}{shown}" + "".join(f"{each:26.0f}" for each in medians[4:]), flush=True)


async def _row(
    sides: Sides, client: WebClient, path: str, processes: Mapping[str, Sequence[int]]
) -> list[float]:
    """Seconds: wall, fetch, evaluate, the rest, and the CPU of each group of processes."""
    before = [cpu_seconds(pids) for pids in processes.values()]
    report = await client.ask(sides.querier, [path])
    used = [cpu_seconds(pids) - old for pids, old in zip(processes.values(), before, strict=True)]
    found = _TIMINGS.search(report.tail)
    if found is None:
        raise RuntimeError(f"the answer has no timings: {report.tail}")
    timings = msgspec.json.decode(found[1], type=dict[str, float])
    fetch, evaluate = timings["queryPreparationTime"], timings["innerEvalTime"]
    wall = report.seconds[0]
    return [wall, fetch, evaluate, wall - fetch - evaluate, *used]
