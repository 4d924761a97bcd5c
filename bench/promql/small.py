"""Queries as dashboards have them by the dozen: few series, one client or fifty."""

import statistics
from collections.abc import Callable, Mapping

from bench.figure import Figure
from bench.promql.asking import Sides, WebClient, check_equal
from bench.promql.data import INTERVAL, QUERY_END, REQUESTS, Dataset, instance_name
from bench.promql.plan import CLIENTS, SMALL, Plan
from bench.promql.scene import instant_path, range_path

_ASKED = 40
"""Answers of each side in a run."""
_CLIENTS = 50
_TOGETHER = 600
"""Answers of each side in a run with many clients."""
_HOUR = 3_600_000


def small_paths() -> Mapping[str, str]:
    """By what they are called."""
    instance = f'instance="{instance_name(1)}"'
    forty, eight = f"{REQUESTS}{{{instance}}}", f'{REQUESTS}{{{instance},code="200"}}'
    one = f'{REQUESTS}{{{instance},code="200",handler="/api/v1/h1"}}'
    hour = QUERY_END - _HOUR
    return {
        "instant, 1 series": instant_path(one),
        "instant, 8 series": instant_path(eight),
        "instant, 40 series": instant_path(forty),
        "instant, rate of 40 series": instant_path(f"sum by (code) (rate({forty}[5m]))"),
        "1 h at 15 s, rate of 8 series": range_path(f"rate({eight}[5m])", INTERVAL // 1000, start=hour),
        "1 h at 15 s, rate of 40 series": range_path(f"rate({forty}[5m])", INTERVAL // 1000, start=hour),
        "6 h at 60 s, rate of 40 series": range_path(f"rate({forty}[5m])", 60),
    }


async def measure_small(
    plan: Plan, data: Dataset, sides: Sides, client: WebClient, show: Callable[[Figure], None]
) -> None:
    """One client that keeps its connection: p50."""
    for name, path in small_paths().items():
        await check_equal(sides, name, path)
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(plan.runs):
            for side in (1, 0):
                report = await client.ask(sides.servers[side], [path], count=_ASKED)
                seconds[side].extend(report.seconds)
        ours, theirs = (statistics.median(each) * 1e3 for each in seconds)
        show(
            Figure(
                name=f"promql {plan.topology}, {data.series} series: {name}, p50",
                value=ours / theirs,
                unit="",
                target=plan.target(SMALL),
                better="<=",
                detail=f"querier {ours:.2f} ms, {plan.peer} {theirs:.2f} ms",
            )
        )


async def measure_clients(
    plan: Plan, data: Dataset, sides: Sides, client: WebClient, show: Callable[[Figure], None]
) -> None:
    """Fifty clients that ask all of them in turn: answers a second."""
    paths = list(small_paths().values())
    rates: tuple[list[float], list[float]] = ([], [])
    slow: tuple[list[float], list[float]] = ([], [])
    for _ in range(plan.runs):
        for side in (1, 0):
            report = await client.ask(sides.servers[side], paths, count=_TOGETHER, clients=_CLIENTS)
            rates[side].append(_TOGETHER / report.total)
            slow[side].append(statistics.quantiles(report.seconds, n=100)[98])
    ours, theirs = (statistics.median(each) for each in rates)
    waits = [statistics.median(each) * 1e3 for each in slow]
    show(
        Figure(
            name=f"promql {plan.topology}, {data.series} series: {_CLIENTS} clients with small queries",
            value=ours / theirs,
            unit="",
            target=plan.target(CLIENTS),
            better=">=",
            detail=f"querier {ours:.0f} answers/s (p99 {waits[0]:.0f} ms),"
            f" {plan.peer} {theirs:.0f} (p99 {waits[1]:.0f} ms)",
        )
    )
