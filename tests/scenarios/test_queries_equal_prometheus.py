"""PromQL through the querier gives what each Prometheus answers itself, and more where there are several.

Real Prometheus servers scrape real targets; their own engine is the measure. Windows of this version include
both ends, ours not the first: the times asked for are none at which anything was scraped.
"""

import math
from pathlib import Path
from typing import Any

import pytest

from app.demo.probe import http_get
from app.stack.scene import Stack
from tests.harness.stack import get, instant, settled_range, stack

pytestmark = pytest.mark.anyio

OWN = {"realm", "replica"}
QUERIES = [
    "example_requests_total",
    "rate(example_requests_total[4s])",
    "sum by (code) (increase(example_requests_total[5s]))",
    "topk(2, example_requests_total)",
    "max_over_time(example_requests_total[3s]) - min_over_time(example_requests_total[3s])",
    "example_requests_total / on (instance) group_left () sum by (instance) (example_requests_total)",
    "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[5s])))",
    "avg_over_time(rate(example_requests_total[3s])[4s:1s])",
    "count by (job) (up) unless up > 1",
    'label_replace(up, "host", "$1", "instance", "(.*):.*")',
    "example_requests_total offset 1s",
    'absent(nothing_like_it{job="x"})',
    "quantile(0.5, example_requests_total) > bool 3",
    "scalar(count(up)) + vector(time()) * 0",
]


def restricted(query: str) -> str:
    """The same of one realm's data, for the querier that sees all."""
    for name in ("example_requests_total", "prometheus_http_request_duration_seconds_bucket"):
        query = query.replace(name, f'{name}{{realm="us"}}')
    return query.replace("(up", '(up{realm="us"}').replace("unless up", 'unless up{realm="us"}')


def plain(found: list[dict[str, Any]]) -> dict[frozenset[tuple[str, str]], list[tuple[float, float]]]:
    """Points by labels, less those that tell realms apart."""
    return {
        frozenset((name, value) for name, value in series["metric"].items() if name not in OWN): [
            (time, float(value)) for time, value in series.get("values", [series.get("value")])
        ]
        for series in found
    }


def assert_same(got: list[dict[str, Any]], wanted: list[dict[str, Any]], query: str) -> None:
    ours, theirs = plain(got), plain(wanted)
    assert ours.keys() == theirs.keys(), query
    for labels, points in theirs.items():
        assert [time for time, _ in ours[labels]] == [time for time, _ in points], (query, labels)
        for (_, mine), (_, their) in zip(ours[labels], points, strict=True):
            assert math.isclose(mine, their, rel_tol=1e-9) or (mine != mine and their != their), query


async def queries_of_one_realm(running: Stack) -> None:
    start, end = settled_range(3.0)
    range_ = {"start": f"{start / 1000:.3f}", "end": f"{end / 1000:.3f}", "step": "0.7"}
    theirs = running.members["us", "a"].prometheus.url
    ours = f"http://{running.querier.http_address}"
    for query in QUERIES:
        mine, their = ({**range_, "query": each} for each in (restricted(query), query))
        got = await get(f"{ours}/api/v1/query_range", **mine)
        wanted = await get(f"{theirs}/api/v1/query_range", **their)
        assert got["resultType"] == wanted["resultType"] == "matrix"
        assert_same(got["result"], wanted["result"], query)
        assert_same(
            await instant(ours, restricted(query), end / 1000),
            await instant(theirs, query, end / 1000),
            query,
        )


async def replicas_are_one(running: Stack) -> None:
    """The pair of eu counts once, and twice where that is asked for."""
    _, end = settled_range()
    ours = f"http://{running.querier.http_address}"
    query = 'example_requests_total{realm="eu",code="200"}'
    merged = await get(f"{ours}/api/v1/query", query=query, time=f"{end / 1000:.3f}")
    assert [sorted(each["metric"]) for each in merged["result"]] == [
        ["__name__", "code", "instance", "job", "realm"]
    ]
    apart = await get(f"{ours}/api/v1/query", query=query, time=f"{end / 1000:.3f}", dedup="false")
    assert {each["metric"]["replica"] for each in apart["result"]} == {"a", "b"}


async def one_of_a_pair_is_enough(running: Stack) -> None:
    """No warning and no gap while one replica is down."""
    await running.kill("eu", "a")
    _, end = settled_range()
    ours = f"http://{running.querier.http_address}"
    status, body = await http_get(
        f"{ours}/api/v1/query?query=count(up%7Brealm%3D%22eu%22,job%3D%22example%22%7D)&time={end / 1000:.3f}"
    )
    assert status == 200
    assert b'"value":[' in body
    assert b'"1"]' in body


async def test_queries_equal_prometheus(tmp_path: Path) -> None:
    flags = ("--query.replica-label=replica",)
    async with stack(tmp_path, querier_flags=flags, samples=26) as running:
        await queries_of_one_realm(running)
        await replicas_are_one(running)
        await one_of_a_pair_is_enough(running)
