"""Samples that a query reads, in all and at each step: as a real Prometheus counts them, on both paths."""

from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest

from app.engine import fast
from app.engine.budget import Budget
from app.engine.measuring import Measuring
from app.engine.model import Annotations, Query
from app.engine.prepare import prepared
from app.engine.promql.features import ALL_FEATURES
from app.engine.promql.parser import parse
from app.engine.reference import run
from tests.harness.filled import filled
from tests.harness.stored import Stored
from tests.interop.compliance_data import END, START, demo_series
from tests.unit.engine.fast.agreement import ALONE, table_of

STEP = 30_000
CPU = "demo_cpu_usage_seconds_total"
EMPTY = ("1 + 2", "absent(nothing) or vector(1)")
QUERIES = [
    CPU,
    f"{CPU} offset 7m",
    f"{CPU} @ {START / 1000:.3f}",
    f"-{CPU}",
    f"timestamp({CPU})",
    f"sum by (mode) ({CPU})",
    f"sum by (mode) (rate({CPU}[5m]))",
    f"rate({CPU}[1m]) / on (instance, mode) increase({CPU}[4m] offset 1m)",
    f"max_over_time({CPU}[2m])",
    f"quantile_over_time(0.9, {CPU}[2m])",
    f"predict_linear({CPU}[2m], 60)",
    f"rate({CPU}[5m] @ {END / 1000:.3f})",
    f"sum(rate({CPU}[5m] @ start()))",
    f"{CPU} + on (instance, mode) rate({CPU}[5m] @ end())",
    f"max_over_time(rate({CPU}[1m])[4m:1m])",
    f"avg_over_time((sum({CPU}) + sum(demo_num_cpus))[3m:15s])",
    f"max_over_time(max_over_time({CPU}[1m])[3m:1m])",
    f"sum_over_time(sum({CPU} @ {START / 1000:.3f})[3m:1m])",
    "topk(2, demo_memory_usage_bytes)",
    "quantile(0.5, demo_memory_usage_bytes)",
    "count_values('n', demo_num_cpus)",
    "scalar(demo_num_cpus{instance=~'.*10000'}) * 2 + time()",
    "absent_over_time(demo_intermittent_metric[1m])",
    "demo_intermittent_metric",
    "count_over_time(demo_intermittent_metric[90s])",
    "changes(demo_intermittent_metric[7m])",
    "histogram_quantile(0.9, rate(demo_api_request_duration_seconds_bucket[1m]))",
    "label_replace(demo_num_cpus, 'a', '$1', 'instance', '(.*)')",
    "demo_memory_usage_bytes > 1e9 and demo_memory_usage_bytes unless demo_num_cpus",
    "demo_num_cpus * on (instance) group_right () demo_memory_usage_bytes",
    "clamp_max(demo_num_cpus, scalar(sum(demo_num_cpus)))",
    "sort(demo_num_cpus) + 1",
    *EMPTY,
]
ONCE = [
    f"{CPU}[5m]",
    "demo_intermittent_metric[7m] offset 1m",
    f"sum({CPU})[4m:30s]",
    f"rate({CPU}[1m])[2m:]",
]


def times(step: int) -> tuple[int, int]:
    return (START, START + (END - START) // STEP * STEP) if step else (END, END)


def counted(text: str, step: int, storage: Stored) -> dict[str, list[int]]:
    """By path, the samples of each step."""
    start, end = times(step)
    query = Query(text, start, end, step, closed_windows=True)
    expr = parse(text, ALL_FEATURES)
    placed, found = prepared(expr, query), {}
    series = {
        each.node: storage.select(each.matchers, each.hints.start, each.hints.end)
        for each in placed.selections
    }
    measuring = Measuring(query)
    run(placed, series, Annotations(), lambda: None, Budget(), measuring)
    found["reference"] = measuring.per_step.tolist()
    plan = fast.plan(expr, query)
    if plan.path == fast.FAST:
        tables = {
            number: table_of(
                storage.select(selector.matchers, hints.start, hints.end), hints.start, hints.end
            )
            for number, (selector, hints) in enumerate(fast.selectors(plan))
        }
        measuring = Measuring(query)
        try:
            fast.evaluate(plan, tables, np.zeros(1, np.uint8), Annotations(), ALONE, measuring=measuring)
        except fast.NotServed:
            assert step and text.startswith("sort")  # which the reference evaluator does
        else:
            found["fast"] = measuring.per_step.tolist()
    return found


async def _asked(directory: Path) -> dict[tuple[str, int], dict[str, Any]]:
    found = {}
    async with (
        filled(directory, demo_series(), {}, ["--enable-feature=promql-per-step-stats"]) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as client,
    ):
        for step in (0, STEP):
            start, end = (f"{each / 1000:.3f}" for each in times(step))
            when = {"start": start, "end": end, "step": str(step // 1000)} if step else {"time": end}
            for text in QUERIES if step else [*QUERIES, *ONCE]:
                path = "query_range" if step else "query"
                answer = await client.get(f"/api/v1/{path}", params={"query": text, "stats": "all", **when})
                assert answer.status_code == 200, answer.text
                found[text, step] = answer.json()["data"]["stats"]["samples"]
    return found


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], dict[str, Any]]:
    """The `samples` of its `stats`, by query and step."""
    return anyio.run(_asked, tmp_path_factory.mktemp("stats"))


@pytest.fixture(scope="module")
def storage() -> Stored:
    return Stored(demo_series())


@pytest.mark.parametrize(
    ("text", "step"),
    [*((text, STEP) for text in QUERIES), *((text, 0) for text in (*QUERIES, *ONCE))],
)
def test_samples_are_counted_as_prometheus_does(
    text: str, step: int, prometheus: dict[tuple[str, int], dict[str, Any]], storage: Stored
) -> None:
    said = prometheus[text, step]
    wanted = [count for _, count in said["totalQueryableSamplesPerStep"]]
    assert sum(wanted) == said["totalQueryableSamples"]
    assert (sum(wanted) > 0) == (text not in EMPTY)
    found = counted(text, step, storage)
    assert found == dict.fromkeys(found, wanted)
