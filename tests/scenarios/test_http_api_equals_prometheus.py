"""Over HTTP the querier says of all realms what each Prometheus says of its own, with its external labels."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.stack.scene import Member, Stack
from tests.harness.stack import get, labels_of, settled_range, stack, until

pytestmark = pytest.mark.anyio

MEMBERS = [("eu", "a"), ("eu", "b"), ("local", "a")]
Found = frozenset[Any]


def frozen(found: Any) -> Any:
    """JSON as something that can be compared and counted, whatever its order."""
    match found:
        case Mapping():
            return frozenset((name, frozen(value)) for name, value in found.items())
        case list():
            return frozenset(frozen(each) for each in found)
        case int():
            return float(found)
        case _:
            return found


class Asked:
    """Both sides of a comparison. Immutable."""

    def __init__(self, running: Stack) -> None:
        self._members = list(running.members.values())
        self._url = f"http://{running.querier.http_address}/api/v1/"

    async def theirs(self, path: str, **parameters: str) -> list[tuple[Member, Any]]:
        """Of each Prometheus."""
        return [
            (each, await get(f"{each.prometheus.url}/api/v1/{path}", **parameters)) for each in self._members
        ]

    async def ours(self, path: str, **parameters: str) -> Any:
        """Of the querier, in a POST where there is one, without warnings."""
        async with httpx.AsyncClient(base_url=self._url) as http:
            answer = await http.post(path, data=parameters)
            if answer.status_code == 405:
                answer = await http.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        assert "warnings" not in answer.json()
        return answer.json()["data"]


async def names_values_series(asked: Asked) -> None:
    start, end = settled_range()
    times = {"start": f"{start / 1000}", "end": f"{end / 1000}"}
    names = {name for _, found in await asked.theirs("labels", **times) for name in found}
    assert set(await asked.ours("labels", **times)) == names | {"realm", "replica"}
    values = {value for _, found in await asked.theirs("label/__name__/values") for value in found}
    assert await asked.ours("label/__name__/values") == sorted(values)
    assert await asked.ours("label/realm/values") == ["eu", "local"]
    assert await asked.ours("label/replica/values", **{"match[]": 'up{realm="local"}'}) == ["a"]
    theirs = [
        frozen(labels_of(series, member))
        for member, found in await asked.theirs("series", **{"match[]": '{__name__=~"example.+"}'}, **times)
        for series in found
    ]
    ours = await asked.ours("series", **{"match[]": '{__name__=~"example.+"}'}, **times)
    assert Counter(map(frozen, ours)) == Counter(theirs)
    assert len(ours) > 20
    merged = {"match[]": '{__name__=~"example.+",realm="eu"}', "replicaLabels[]": "replica", **times}
    assert len(await asked.ours("series", **merged)) < sum(each["realm"] == "eu" for each in ours)


def rule(found: Mapping[str, Any], labels: Mapping[str, str]) -> Found:
    """What does not change from one evaluation to the next. Alerts have no external labels, as in Thanos."""
    fixed = ("type", "name", "query", "health", "state", "duration", "annotations")
    kept = {name: found[name] for name in fixed if name in found}
    alerts = [each["labels"] for each in found.get("alerts", ())]
    result: Found = frozen({**kept, "labels": labels, "alerts": alerts})
    return result


async def rules_alerts_targets(asked: Asked) -> None:
    theirs = Counter(
        rule(each, labels_of(each["labels"], member))
        for member, found in await asked.theirs("rules")
        for group in found["groups"]
        for each in group["rules"]
    )
    groups = (await asked.ours("rules"))["groups"]
    assert Counter(rule(each, each["labels"]) for group in groups for each in group["rules"]) == theirs
    assert {"interval", "evaluationTime", "lastEvaluation", "limit", "file"} <= set(groups[0])
    only = (await asked.ours("rules", type="record"))["groups"]
    assert {each["type"] for group in only for each in group["rules"]} == {"recording"}
    alerts = Counter(
        frozen(each["labels"]) for _, found in await asked.theirs("alerts") for each in found["alerts"]
    )
    assert Counter(frozen(each["labels"]) for each in (await asked.ours("alerts"))["alerts"]) == alerts
    fixed = ("scrapePool", "scrapeUrl", "health")
    targets = Counter(
        frozen({**{name: each[name] for name in fixed}, "labels": labels_of(each["labels"], member)})
        for member, found in await asked.theirs("targets")
        for each in found["activeTargets"]
    )
    ours = (await asked.ours("targets"))["activeTargets"]
    assert targets == Counter(
        frozen({**{name: each[name] for name in fixed}, "labels": each["labels"]}) for each in ours
    )


async def metadata_exemplars_statistics(asked: Asked) -> None:
    wanted: dict[str, frozenset[Any]] = {}
    for _, found in await asked.theirs("metadata"):
        for name, metas in found.items():
            wanted[name] = wanted.get(name, frozenset()) | frozen(metas)
    assert {name: frozen(metas) for name, metas in (await asked.ours("metadata")).items()} == wanted
    start, end = settled_range()
    query = "example_request_duration_seconds_bucket"
    asking = {"query": f"rate({query}[1m])", "start": f"{start / 1000}", "end": f"{end / 1000}"}
    exemplars = {
        frozen({**each, "seriesLabels": labels_of(each["seriesLabels"], member)})
        for member, found in await asked.theirs("query_exemplars", **asking)
        for each in found
    }
    assert {frozen(each) for each in await asked.ours("query_exemplars", **asking)} == exemplars
    assert len(exemplars) > 3
    await until(partial(_series_counts, asked), lambda counts: counts[0] == counts[1], "equal series counts")


async def _series_counts(asked: Asked) -> tuple[int, int]:
    """Ours and all of theirs; targets add series between the two answers, for a while."""
    status = await asked.ours("status/tsdb", limit="3")
    assert len(status["seriesCountByMetricName"]) == 3
    theirs = [found["headStats"]["numSeries"] for _, found in await asked.theirs("status/tsdb")]
    return status["headStats"]["numSeries"], sum(theirs)


async def only_some_endpoints(asked: Asked, running: Stack) -> None:
    local = next(each for each in running.members.values() if each.realm == "local")
    chosen = {"storeMatch[]": f'{{__address__="{local.grpc_address}"}}'}
    assert await asked.ours("label/realm/values", **chosen) == ["local"]
    assert {each["realm"] for each in await asked.ours("series", **{"match[]": "up"}, **chosen)} == {"local"}


async def test_the_http_api_equals_prometheus(tmp_path: Path) -> None:
    async with stack(tmp_path, members=MEMBERS) as running:
        asked = Asked(running)
        await names_values_series(asked)
        await rules_alerts_targets(asked)
        await metadata_exemplars_statistics(asked)
        await only_some_endpoints(asked, running)
