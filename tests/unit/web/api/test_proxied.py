"""Rules, alerts, targets, metadata, exemplars and statistics: parameters, shapes, tenants."""

from typing import Any

import betterproto2
import pytest

from app.config.model import QuerySettings
from app.config.query_options import PartialResponse, QueryOptions, TenancyOptions
from app.endpoints.model import MAX_TIME, MIN_TIME, Api, EndpointInfo, EndpointView, State
from app.errors import CallError, Code
from app.fanout.wire import framed
from app.pb.thanos import (
    ActiveTarget,
    ActiveTargetTargetHealth,
    Alert,
    AlertInstance,
    AlertState,
    DroppedTarget,
    Exemplar,
    ExemplarData,
    ExemplarsRequest,
    ExemplarsResponse,
    HeadStatistics,
    Label,
    LabelMatcher,
    LabelMatcherType,
    Meta,
    MetricMetadata,
    MetricMetadataEntry,
    MetricMetadataRequest,
    MetricMetadataResponse,
    PartialResponseStrategy,
    RecordingRule,
    Rule,
    RuleGroup,
    RulesRequest,
    RulesRequestType,
    RulesResponse,
    Statistic,
    TargetDiscovery,
    TargetsRequest,
    TargetsRequestState,
    TargetsResponse,
    Timestamp,
    TsdbStatistics,
    TsdbStatisticsEntry,
    TsdbStatisticsRequest,
    TsdbStatisticsResponse,
    ZLabelSet,
)
from app.web.api import parameters
from app.web.api.messages import instant
from tests.unit.fanout.answers import FakeChannel
from tests.unit.web.api.fakes import client

pytestmark = pytest.mark.anyio

TENANT = QuerySettings(query=QueryOptions(tenancy=TenancyOptions(enforced=True, label="team", default="me")))
STRICT = QuerySettings(
    query=QueryOptions(
        partial_response=PartialResponse(
            rules=False, targets=False, metadata=False, exemplars=False, status=False
        )
    )
)
PATHS = ["rules", "alerts", "targets", "metadata", "query_exemplars", "status/tsdb"]


def labels(**found: str) -> ZLabelSet:
    return ZLabelSet(labels=[Label(name=name, value=value) for name, value in sorted(found.items())])


def answering(*messages: betterproto2.Message | CallError) -> EndpointView:
    """An endpoint that offers every API and answers each with the same messages."""
    blocks = [each if isinstance(each, CallError) else framed(bytes(each)) for each in messages]
    return EndpointView(
        group="eu",
        address="a:1",
        channel=FakeChannel("a:1", blocks),  # type: ignore[arg-type]
        strict=False,
        state=State.HEALTHY,
        info=EndpointInfo(
            component="sidecar", label_sets=(), min_time=MIN_TIME, max_time=MAX_TIME, apis=frozenset(Api)
        ),
        since=0.0,
        last_check=0.0,
        last_error="",
    )


def requests(found: EndpointView) -> list[bytes]:
    asked: list[bytes] = found.channel.requests  # type: ignore[attr-defined]
    return asked


async def get(
    path: str, parameters: Any, *views: EndpointView, settings: QuerySettings | None = None, status: int = 200
) -> Any:
    """`data` of an answer, or the whole of an error."""
    async with client(None, *views, settings=settings) as http:
        answer = await http.get(f"/api/v1/{path}", params=parameters)
    assert answer.status_code == status, answer.text
    return answer.json()["data"] if status == 200 else answer.json()


def rules() -> EndpointView:
    fires = AlertInstance(
        labels=labels(alertname="Down", team="me"),
        annotations=labels(summary="it is down"),
        state=AlertState.FIRING,
        active_at=Timestamp(seconds=1_700_000_000, nanos=500_000_000),
        value="1e+00",
        partial_response_strategy=PartialResponseStrategy.ABORT,
    )
    alert = Alert(
        state=AlertState.FIRING,
        name="Down",
        query="up == 0",
        duration_seconds=60.0,
        labels=labels(severity="page", team="me"),
        annotations=labels(summary="it is down"),
        alerts=[fires],
        health="ok",
        evaluation_duration_seconds=0.25,
        last_evaluation=Timestamp(seconds=1_700_000_000),
        keep_firing_for_seconds=30.0,
    )
    recording = RecordingRule(name="a:b", query="sum(up)", health="err", last_error="no")
    group = RuleGroup(
        name="g",
        file="f.yml",
        rules=[Rule(alert=alert), Rule(recording=recording)],
        interval=15.0,
        last_evaluation=Timestamp(seconds=1_700_000_000, nanos=1),
    )
    return answering(RulesResponse(group=group))


ALERT = {
    "labels": {"alertname": "Down", "team": "me"},
    "annotations": {"summary": "it is down"},
    "state": "firing",
    "activeAt": "2023-11-14T22:13:20.5Z",
    "value": "1e+00",
    "partialResponseStrategy": "ABORT",
}
ALERTING = {
    "state": "firing",
    "name": "Down",
    "query": "up == 0",
    "duration": 60,
    "labels": {"severity": "page", "team": "me"},
    "annotations": {"summary": "it is down"},
    "alerts": [ALERT],
    "health": "ok",
    "evaluationTime": 0.25,
    "lastEvaluation": "2023-11-14T22:13:20Z",
    "keepFiringFor": 30,
    "type": "alerting",
}


async def test_rules() -> None:
    assert await get("rules", {}, rules()) == {
        "groups": [
            {
                "name": "g",
                "file": "f.yml",
                "rules": [
                    ALERTING,
                    {
                        "name": "a:b",
                        "query": "sum(up)",
                        "labels": {},
                        "health": "err",
                        "lastError": "no",
                        "evaluationTime": 0,
                        "lastEvaluation": "0001-01-01T00:00:00Z",
                        "type": "recording",
                    },
                ],
                "interval": 15,
                "evaluationTime": 0,
                "lastEvaluation": "2023-11-14T22:13:20.000000001Z",
                "limit": 0,
                "partialResponseStrategy": "WARN",
            }
        ]
    }


async def test_whole_numbers_have_no_fraction() -> None:
    """As Go writes them: some clients read durations as integers."""
    async with client(None, rules()) as http:
        text = (await http.get("/api/v1/rules")).text
    for written in ('"interval":15,', '"duration":60,', '"evaluationTime":0.25,', '"keepFiringFor":30,'):
        assert written in text


async def test_alerts() -> None:
    one = rules()
    assert await get("alerts", {}, one) == {"alerts": [ALERT]}
    assert RulesRequest.parse(requests(one)[0]).type is RulesRequestType.ALERT


async def test_what_endpoints_are_asked_for_rules() -> None:
    one = answering()
    given = [("type", "record"), ("match[]", '{a="b"}'), ("rule_name[]", "r"), ("rule_group[]", "g")]
    await get("rules", [*given, ("file[]", "f")], one)
    await get("rules", {"type": "ALERT"}, one, settings=STRICT)
    first, second = [RulesRequest.parse(each) for each in requests(one)]
    assert first == RulesRequest(
        type=RulesRequestType.RECORD,
        matcher_string=['{a="b"}'],
        rule_name=["r"],
        rule_group=["g"],
        file=["f"],
    )
    assert second.type is RulesRequestType.ALERT
    assert second.partial_response_strategy is PartialResponseStrategy.ABORT


def targets() -> EndpointView:
    active = ActiveTarget(
        discovered_labels=labels(__address__="h:1"),
        labels=labels(instance="h:1", team="me"),
        scrape_pool="p",
        scrape_url="http://h:1/metrics",
        global_url="http://g:1/metrics",
        last_error="refused",
        last_scrape=Timestamp(seconds=1_700_000_000),
        last_scrape_duration=0.5,
        health=ActiveTargetTargetHealth.DOWN,
    )
    dropped = DroppedTarget(discovered_labels=labels(__address__="h:2"))
    found = TargetDiscovery(active_targets=[active], dropped_targets=[dropped])
    return answering(TargetsResponse(targets=found))


async def test_targets() -> None:
    assert await get("targets", {}, targets()) == {
        "activeTargets": [
            {
                "discoveredLabels": {"__address__": "h:1"},
                "labels": {"instance": "h:1", "team": "me"},
                "scrapePool": "p",
                "scrapeUrl": "http://h:1/metrics",
                "globalUrl": "http://g:1/metrics",
                "lastError": "refused",
                "lastScrape": "2023-11-14T22:13:20Z",
                "lastScrapeDuration": 0.5,
                "health": "down",
            }
        ],
        "droppedTargets": [{"discoveredLabels": {"__address__": "h:2"}}],
    }


@pytest.mark.parametrize("state", ["active", "dropped", "any"])
async def test_targets_of_one_state(state: str) -> None:
    one = targets()
    found = await get("targets", {"state": state}, one)
    assert (bool(found["activeTargets"]), bool(found["droppedTargets"])) == (
        state != "dropped",
        state != "active",
    )
    assert TargetsRequest.parse(requests(one)[0]).state is TargetsRequestState[state.upper()]


def metadata() -> EndpointView:
    metas = {
        "up": MetricMetadataEntry(
            metas=[Meta(type="gauge", help="whether", unit=""), Meta(type="counter", help="x", unit="s")]
        ),
        "go": MetricMetadataEntry(metas=[Meta(type="gauge", help='"', unit="")]),
    }
    return answering(MetricMetadataResponse(metadata=MetricMetadata(metadata=metas)))


async def test_metadata() -> None:
    one = metadata()
    assert await get("metadata", {}, one) == {
        "up": [
            {"type": "gauge", "help": "whether", "unit": ""},
            {"type": "counter", "help": "x", "unit": "s"},
        ],
        "go": [{"type": "gauge", "help": '"', "unit": ""}],
    }
    assert len(await get("metadata", {"limit": "1"}, one)) == 1
    await get("metadata", {"metric": "up", "limit": "0"}, one)
    asked = [MetricMetadataRequest.parse(each) for each in requests(one)]
    assert [(each.metric, each.limit) for each in asked] == [("", -1), ("", 1), ("up", 0)]


def exemplars() -> EndpointView:
    data = ExemplarData(
        series_labels=labels(__name__="up", job="a"),
        exemplars=[Exemplar(labels=labels(trace_id="x"), value=1e-7, ts=1_700_000_000_500)],
    )
    return answering(ExemplarsResponse(data=data))


async def test_exemplars() -> None:
    one = exemplars()
    assert await get("query_exemplars", {"query": "up", "start": "1", "end": "2"}, one) == [
        {
            "seriesLabels": {"__name__": "up", "job": "a"},
            "exemplars": [{"labels": {"trace_id": "x"}, "value": "1e-07", "timestamp": 1_700_000_000.5}],
        }
    ]
    await get("query_exemplars", {"query": 'rate(a{b!="c"}[5m] offset 1m) / on (x) group_left (y) d'}, one)
    first, second = [ExemplarsRequest.parse(each) for each in requests(one)]
    assert (first.query, first.start, first.end) == ('{__name__="up"}', 1000, 2000)
    assert second.query == '{b!="c", __name__="a"}+{__name__="d"}'
    assert (second.start, second.end) == (parameters.MIN_TIME, parameters.MAX_TIME)


async def test_a_query_without_series_has_no_exemplars() -> None:
    one = exemplars()
    assert await get("query_exemplars", {"query": "1 + 1"}, one) == []
    assert requests(one) == []


def statistics(**series: int) -> EndpointView:
    entries = {
        tenant: TsdbStatisticsEntry(
            head_statistics=HeadStatistics(
                num_series=count, num_label_pairs=1, chunk_count=2, min_time=3, max_time=4
            ),
            series_count_by_metric_name=[Statistic(name=f"m{number}", value=count) for number in range(20)],
        )
        for tenant, count in series.items()
    }
    return answering(TsdbStatisticsResponse(statistics=TsdbStatistics(statistics=entries)))


async def test_statistics_of_all_tenants() -> None:
    one = statistics(a=5, b=7)
    found = await get("status/tsdb", {}, one)
    assert found["headStats"] == {
        "numSeries": 12,
        "numLabelPairs": 2,
        "chunkCount": 4,
        "minTime": 3,
        "maxTime": 4,
    }
    assert len(found["seriesCountByMetricName"]) == 10
    assert found["seriesCountByMetricName"][0] == {"name": "m0", "value": 12}
    assert set(found) == {
        "headStats",
        "seriesCountByMetricName",
        "labelValueCountByLabelName",
        "memoryInBytesByLabelName",
        "seriesCountByLabelValuePair",
    }
    few = await get("status/tsdb", {"limit": "3", "match[]": '{a="b"}'}, one)
    assert len(few["seriesCountByMetricName"]) == 3
    asked = [TsdbStatisticsRequest.parse(each) for each in requests(one)]
    assert [each.limit for each in asked] == [10, 3]
    assert asked[1].matchers == [LabelMatcher(type=LabelMatcherType.EQ, name="a", value="b")]


async def test_nothing_has_the_shape_of_something() -> None:
    assert await get("rules", {}) == {"groups": []}
    assert await get("alerts", {}) == {"alerts": []}
    assert await get("targets", {}) == {"activeTargets": [], "droppedTargets": []}
    assert await get("metadata", {}) == {}
    assert await get("query_exemplars", {"query": "up"}) == []
    assert (await get("status/tsdb", {}))["headStats"]["numSeries"] == 0


@pytest.mark.parametrize(
    ("path", "given", "error"),
    [
        ("rules", {"type": "x"}, "invalid rules parameter type='x'"),
        ("rules", {"match[]": "{"}, "1:2: parse error: unexpected end of input inside braces"),
        ("targets", {"state": "x"}, "invalid targets parameter state='x'"),
        ("metadata", {"limit": "x"}, "invalid metric metadata limit='x'"),
        ("metadata", {"limit": "3000000000"}, "invalid metric metadata limit='3000000000'"),
        ("query_exemplars", {"query": "up +"}, "1:5: parse error: unexpected end of input"),
        ("query_exemplars", {}, "unknown position: parse error: no expression found in input"),
        (
            "query_exemplars",
            {"query": "up", "start": "x"},
            "Invalid time value for 'start': cannot parse \"x\" to a valid timestamp",
        ),
        (
            "query_exemplars",
            {"query": "up", "start": "2", "end": "1"},
            "end timestamp must not be before start time",
        ),
        ("status/tsdb", {"limit": "-1"}, "limit must be non-negative"),
        ("status/tsdb", {"limit": "3000000000"}, "limit 3000000000 overflows int32"),
        ("status/tsdb", {"match[]": "{"}, "1:2: parse error: unexpected end of input inside braces"),
    ],
)
async def test_bad_parameters(path: str, given: dict[str, str], error: str) -> None:
    body = await get(path, given, answering(), status=400)
    assert body == {"status": "error", "errorType": "bad_data", "error": error}


@pytest.mark.parametrize("path", PATHS)
async def test_a_failure_is_a_warning_or_an_internal_error(path: str) -> None:
    lost = answering(CallError(Code.UNAVAILABLE, "connection lost"))
    async with client(None, lost) as http:
        answer = await http.get(f"/api/v1/{path}", params={"query": "up"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.json()["warnings"]) == 1 and "connection lost" in answer.json()["warnings"][0]
    body = await get(path, {"query": "up"}, lost, settings=STRICT, status=500)
    assert body["errorType"] == "internal"
    assert body["error"].startswith("retrieving ") and "connection lost" in body["error"]


# -- tenants


async def test_a_tenant_sees_its_rules_and_targets() -> None:
    groups = (await get("rules", {}, rules(), settings=TENANT))["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"]] == ["Down"]
    found = await get("targets", {}, targets(), settings=TENANT)
    assert (len(found["activeTargets"]), found["droppedTargets"]) == (1, [])
    async with client(None, targets(), settings=TENANT) as http:
        other = await http.get("/api/v1/targets", headers={"thanos-tenant": "other"})
    assert other.json()["data"]["activeTargets"] == []


async def test_a_tenant_sees_its_exemplars() -> None:
    one = exemplars()
    await get("query_exemplars", {"query": 'up{team="other"} + {a="b"}'}, one, settings=TENANT)
    asked = ExemplarsRequest.parse(requests(one)[0])
    assert asked.query == '{__name__="up", team="me"}+{a="b", team="me"}'


async def test_a_tenant_sees_its_statistics() -> None:
    one = statistics(me=5, other=7)
    assert (await get("status/tsdb", {}, one, settings=TENANT))["headStats"]["numSeries"] == 5
    (asked,) = [TsdbStatisticsRequest.parse(each) for each in requests(one)]
    assert asked.matchers == [LabelMatcher(type=LabelMatcherType.EQ, name="team", value="me")]
    body = await get("status/tsdb", {}, statistics(other=7), settings=TENANT, status=500)
    assert body["error"] == "retrieving tsdb statistics: me tenant not found"


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (None, "0001-01-01T00:00:00Z"),
        (Timestamp(seconds=-62_135_596_800), "0001-01-01T00:00:00Z"),
        (Timestamp(seconds=-62_135_596_799), "0001-01-01T00:00:01Z"),
        (Timestamp(seconds=253_402_300_799, nanos=120_000_000), "9999-12-31T23:59:59.12Z"),
        (Timestamp(seconds=2**62), "0001-01-01T00:00:00Z"),
        (Timestamp(), "1970-01-01T00:00:00Z"),
    ],
)
def test_instants(time: Timestamp | None, text: str) -> None:
    assert instant(time) == text
