"""What a query cost: the counts and times of its nodes, and how they are written."""

from collections.abc import Mapping
from typing import Any

import pytest

from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram
from app.engine.measuring import Cost, Measured, Measuring, analyzed, go_duration, histogram_samples
from app.engine.model import Query
from app.engine.promql.features import ALL_FEATURES
from app.engine.request import QueryRequest
from tests.unit.engine.test_querying import MINUTE, FakeSelect, World, request

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1e-10, "0s"),
        (1e-9, "1ns"),
        (999e-9, "999ns"),
        (1.5e-6, "1.5µs"),
        (15.125e-3, "15.125ms"),
        (0.9999999999, "1s"),
        (1, "1s"),
        (59.000000001, "59.000000001s"),
        (60, "1m0s"),
        (123.04, "2m3.04s"),
        (3600, "1h0m0s"),
        (90061.5, "25h1m1.5s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


@pytest.mark.parametrize(
    ("histogram", "samples"),
    [
        (FloatHistogram(), 11),
        (FloatHistogram(positive={1: 1.0, 2: 1.0, 5: 3.0}), (168 + 3 * 8 + 2 * 8 + 8) // 16),
        (FloatHistogram(positive={0: 1.0}, negative={-1: 1.0, 3: 1.0}), (168 + 2 * 8 + 4 * 8 + 8) // 16),
        (FloatHistogram(schema=CUSTOM_SCHEMA, custom_values=(1.0, 2.0, 3.0), positive={0: 1.0}), 13),
    ],
)
def test_a_histogram_is_as_many_samples_as_take_up_its_memory(
    histogram: FloatHistogram, samples: int
) -> None:
    assert histogram_samples(histogram) == samples


def test_stats_have_prometheus_names() -> None:
    cost = Cost(0.25, 1.0, 2.0, 7, [3, 4])
    query = Query("x", 1_000, 2_500, 1_500)
    assert cost.stats(query, every_step=True) == {
        "timings": {
            "evalTotalTime": 3.0,
            "resultSortTime": 0.0,
            "queryPreparationTime": 1.0,
            "innerEvalTime": 2.0,
            "execQueueTime": 0.25,
            "execTotalTime": 3.25,
        },
        "samples": {
            "totalQueryableSamplesPerStep": [(1, 3), (2.5, 4)],
            "totalQueryableSamples": 7,
            "peakSamples": 7,
        },
    }
    assert list(cost.stats(query, every_step=False)["samples"]) == ["totalQueryableSamples", "peakSamples"]


def test_an_analysis_leaves_out_what_it_does_not_know() -> None:
    inner = analyzed("inner", Measured(None, 5, 9))
    assert inner == {"name": "inner", "peakSamples": 9, "totalSamples": 5}
    assert analyzed("outer", Measured(0.002, 5, 1), [inner]) == {
        "name": "outer",
        "executionTime": "2ms",
        "peakSamples": 9,
        "totalSamples": 5,
        "children": [inner],
    }


def test_counting_itself_is_nobodys_time() -> None:
    measuring, node = Measuring(Query("x", 0, 0)), object()
    with measuring.evaluating(node, 1):
        measuring.pause(1000.0)
    assert (measuring.of(node).seconds or 0) < -900
    assert measuring.paused == 1000.0


def named(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The first node of that name."""
    found = [tree]
    while found:
        node = found.pop(0)
        if node["name"] == name:
            return node
        found.extend(node.get("children", ()))
    raise AssertionError(f"no node {name} in {tree}")


def measured(text: str, *, step: int = MINUTE) -> QueryRequest:
    return request(text, step=step, timeout=120.0, stats=True, every_step=True, count=True, analyze=True)


# Two series of a sample every 15 s; a window of five minutes has 20 of each.
@pytest.mark.parametrize("path", ["fast", "reference"])
@pytest.mark.parametrize(
    ("text", "each_step", "node", "samples"),
    [
        ("a_total", 2, "a_total", 22),
        ("sum(rate(a_total[5m]))", 40, "rate(a_total[5m])", 440),
        ("sum(a_total) + max(rate(a_total[5m]))", 42, "sum(a_total)", 22),
        ("sum(a_total @ 3600)", 2, "sum(a_total @ 3600.000)", None),
        ("max_over_time(sum(a_total)[5m:1m])", 5, "sum(a_total)[5m:1m]", None),
        ("vector(time())", 0, "vector(time())", 0),
    ],
)
async def test_nodes_have_the_samples_below_them(
    path: str, text: str, each_step: int, node: str, samples: int | None
) -> None:
    world = World(FakeSelect(), features=ALL_FEATURES)
    # A sort at several steps is left to the reference evaluator, unless it is the same at all of them.
    asked = text if path == "fast" else f"sort({text} + 0 * time())"
    answer = await world.engine.query(measured(asked))
    assert answer.stats is not None and answer.analysis is not None
    per_step = answer.stats["samples"]["totalQueryableSamplesPerStep"]
    assert per_step == [(3000 + 60 * place, each_step) for place in range(11)]
    assert answer.stats["samples"]["totalQueryableSamples"] == 11 * each_step
    assert answer.stats["samples"]["peakSamples"] > 0
    assert answer.analysis["name"] == "[query]"
    assert answer.analysis.get("totalSamples", 0) == 11 * each_step
    found = named(answer.analysis, f"[{path}] {node}")
    if samples is not None:
        assert found.get("totalSamples", 0) == samples
    root = answer.analysis["children"][-1]
    assert root["executionTime"].endswith("s")
    assert root.get("totalSamples", 0) == 11 * each_step
    fetched = [each["name"] for each in answer.analysis["children"][:-1]]
    assert all(name.startswith("[fetch] a_total") for name in fetched)
    assert len(fetched) == text.count("a_total")


async def test_nothing_is_measured_unless_it_is_asked_for() -> None:
    world = World(FakeSelect())
    answer = await world.engine.query(request("rate(a_total[5m])", timeout=120.0))
    assert (answer.stats, answer.analysis) == (None, None)
    answer = await world.engine.query(request("rate(a_total[5m])", timeout=120.0, stats=True, queued=2.0))
    assert answer.stats is not None
    assert answer.stats["samples"]["totalQueryableSamples"] == 0
    assert answer.stats["samples"]["peakSamples"] > 0  # which is known anyway, for the limit
    timings = answer.stats["timings"]
    assert timings["execQueueTime"] == 2.0
    assert timings["execTotalTime"] == pytest.approx(2.0 + timings["evalTotalTime"])


@pytest.mark.parametrize(("text", "samples"), [("a_total[5m]", 40), ("sum(a_total)[5m:1m]", 10)])
async def test_a_range_vector_as_a_result(text: str, samples: int) -> None:
    answer = await World(FakeSelect()).engine.query(measured(text, step=0))
    assert answer.stats is not None
    assert answer.stats["samples"]["totalQueryableSamplesPerStep"] == [(3600, samples)]
