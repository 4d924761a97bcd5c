"""Rules, targets, metadata, exemplars and TSDB statistics are each Prometheus's own, with external labels.

Asked through the global querier, with grpcio; compared with what each Prometheus answers over HTTP.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import grpc.aio
import pytest

from app.pb.thanos import (
    ExemplarsRequest,
    ExemplarsResponse,
    MetricMetadataRequest,
    MetricMetadataResponse,
    Rule,
    RulesRequest,
    RulesRequestType,
    RulesResponse,
    TargetsRequest,
    TargetsResponse,
    TsdbStatisticsRequest,
    TsdbStatisticsResponse,
    ZLabelSet,
)
from app.stack.scene import Member, Stack
from tests.harness.stack import ask_many, asking, get, labels_of, settled_range, stack

pytestmark = pytest.mark.anyio

MEMBERS = [("eu", "a"), ("eu", "b"), ("local", "a")]


def plain(labels: ZLabelSet | None) -> dict[str, str]:
    return {label.name: label.value for label in labels.labels} if labels else {}


def frozen(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def own_rule(rule: Mapping[str, Any], member: Member) -> tuple[Any, ...]:
    """What does not change from one evaluation to the next."""
    return (
        rule["type"] == "alerting", rule["name"], rule["query"], frozen(labels_of(rule["labels"], member)),
        rule["health"], rule.get("state", ""), float(rule.get("duration", 0)),
        frozen(rule.get("annotations", {})), len(rule.get("alerts", ())),
    )  # fmt: skip


def their_rule(rule: Rule) -> tuple[Any, ...]:
    if rule.alert is not None:
        alert = rule.alert
        assert alert.last_evaluation is not None
        assert alert.last_evaluation.seconds > 1_700_000_000
        return (
            True, alert.name, alert.query, frozen(plain(alert.labels)), alert.health,
            (alert.state.name or "").lower(), alert.duration_seconds, frozen(plain(alert.annotations)),
            len(alert.alerts),
        )  # fmt: skip
    assert rule.recording is not None
    found = rule.recording
    return (False, found.name, found.query, frozen(plain(found.labels)), found.health, "", 0.0, frozen({}), 0)


async def rules(running: Stack, channel: grpc.aio.Channel) -> None:
    wanted = []
    for member in running.members.values():
        data = await get(f"{member.prometheus.url}/api/v1/rules")
        wanted += [own_rule(rule, member) for group in data["groups"] for rule in group["rules"]]
    answers = await ask_many(channel, "/thanos.Rules/Rules", RulesRequest(), RulesResponse)
    found = [their_rule(rule) for answer in answers for rule in answer.group.rules]
    assert Counter(found) == Counter(wanted)
    assert ("firing" in str(found), len(found)) == (True, 9)
    only = await ask_many(
        channel, "/thanos.Rules/Rules", RulesRequest(type=RulesRequestType.RECORD), RulesResponse
    )
    assert {rule.recording.name for answer in only for rule in answer.group.rules} == {"job:up:sum"}


async def targets(running: Stack, channel: grpc.aio.Channel) -> None:
    wanted = set()
    for member in running.members.values():
        for each in (await get(f"{member.prometheus.url}/api/v1/targets"))["activeTargets"]:
            wanted.add(
                (
                    each["scrapeUrl"], each["scrapePool"], each["health"],
                    frozen(labels_of(each["labels"], member)),
                    frozen(labels_of(each["discoveredLabels"], member)),
                )
            )  # fmt: skip
    answers = await ask_many(channel, "/thanos.Targets/Targets", TargetsRequest(), TargetsResponse)
    found = {
        (
            each.scrape_url, each.scrape_pool, (each.health.name or "").lower(), frozen(plain(each.labels)),
            frozen(plain(each.discovered_labels)),
        )
        for answer in answers
        for each in answer.targets.active_targets
    }  # fmt: skip
    assert found == wanted
    assert len(found) == 9


async def metadata(running: Stack, channel: grpc.aio.Channel) -> None:
    wanted: dict[str, set[tuple[str, str, str]]] = {}
    for member in running.members.values():
        for name, metas in (await get(f"{member.prometheus.url}/api/v1/metadata")).items():
            said = {(each["type"], each["help"], each["unit"]) for each in metas}
            wanted[name] = wanted.get(name, set()) | said
    answers = await ask_many(
        channel, "/thanos.Metadata/MetricMetadata", MetricMetadataRequest(limit=-1), MetricMetadataResponse
    )
    found = {
        name: {(meta.type, meta.help, meta.unit) for meta in entry.metas}
        for answer in answers
        for name, entry in answer.metadata.metadata.items()
    }
    assert found == wanted
    assert len(found) > 100


async def exemplars(running: Stack, channel: grpc.aio.Channel) -> None:
    start, end = settled_range()
    query = "example_request_duration_seconds_bucket"
    wanted = set()
    for member in running.members.values():
        url = f"{member.prometheus.url}/api/v1/query_exemplars"
        for series in await get(url, query=query, start=f"{start / 1000}", end=f"{end / 1000}"):
            labels = frozen(labels_of(series["seriesLabels"], member))
            for each in series["exemplars"]:
                at = round(each["timestamp"] * 1000)
                wanted.add((labels, frozen(each["labels"]), float(each["value"]), at))
    # External labels in a selector choose the endpoints; Prometheus would find nothing by them.
    request = ExemplarsRequest(query=f'sum(rate({query}{{realm=~".+"}}[1m]))', start=start, end=end)
    answers = await ask_many(channel, "/thanos.Exemplars/Exemplars", request, ExemplarsResponse)
    found = {
        (frozen(plain(answer.data.series_labels)), frozen(plain(each.labels)), each.value, each.ts)
        for answer in answers
        for each in answer.data.exemplars
    }
    assert found == wanted
    assert len(found) > 3
    request = ExemplarsRequest(query=f'{query}{{realm="local"}}', start=start, end=end)
    answers = await ask_many(channel, "/thanos.Exemplars/Exemplars", request, ExemplarsResponse)
    assert {plain(answer.data.series_labels)["realm"] for answer in answers} == {"local"}


async def series_in_heads(running: Stack) -> int:
    found = 0
    for member in running.members.values():
        data = await get(f"{member.prometheus.url}/api/v1/status/tsdb")
        found += data["headStats"]["numSeries"]
    return found


async def statistics(running: Stack, channel: grpc.aio.Channel) -> None:
    request = TsdbStatisticsRequest(limit=3)
    with anyio.fail_after(30):
        while True:  # until no scrape has brought new series meanwhile
            before = await series_in_heads(running)
            (answer,) = await ask_many(
                channel, "/thanos.Status/TSDBStatistics", request, TsdbStatisticsResponse
            )
            if await series_in_heads(running) == before:
                break
    (entry,) = answer.statistics.statistics.values()
    assert entry.head_statistics.num_series == before
    assert [len(entry.series_count_by_metric_name), len(entry.label_value_count_by_label_name)] == [3, 3]


async def test_apis_equal_prometheus(tmp_path: Path) -> None:
    async with stack(tmp_path, members=MEMBERS) as running, asking(running) as channel:
        await rules(running, channel)
        await targets(running, channel)
        await metadata(running, channel)
        await exemplars(running, channel)
        await statistics(running, channel)
