"""The real Thanos beside us, below us and above us: the same requests get the same answers.

Runs where CROSSREALM_THANOS names its program (0.43 or main, built with the tags of its releases).
"""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from app.demo.processes import free_address, running, running_server, until_up
from app.stack.prometheus import PrometheusServer
from app.stack.target import target
from tests.harness.stack import instant, settled_range, until

pytestmark = pytest.mark.anyio

THANOS = os.environ.get("CROSSREALM_THANOS", "")
REFERENCE = "thanos over its sidecars"
DISTRIBUTED = "thanos, distributed, over crossrealm"
SAMPLES = 12

EXPRESSIONS = (
    "up", "example_requests_total", 'example_requests_total{code=~"2.."}', "example_requests_total[4s]",
    "rate(example_requests_total[4s])", "sum by (code) (increase(example_requests_total[4s]))",
    "histogram_quantile(0.9, sum by (le) (rate(example_request_duration_seconds_bucket[4s])))",
    "rate(example_temperature_celsius[4s])", "max_over_time(example_temperature_celsius[4s])",
    "avg_over_time(example_temperature_celsius[4s:1s])", "count by (realm, replica) (up)", "1", "-0",
    '"text"', "time()", "vector(1e-9)", "sort_desc(example_requests_total)", "bottomk(1, up)",
    "example_requests_total * on(instance) group_left(job) up", "absent(nothing)", "nothing",
    "quantile(2, up)", "example_requests_total @ end() offset 1s", "-(up / 0)", 'count_values("v", up)',
)  # fmt: skip
FAULTS = (
    "", "up{", "rate(up)", "up[0s]", "sum(", "foo bar", "{}", 'up{a="', "up @ x", "1[5m]", "limitk(1, up)",
    'label_replace(up, "x", "$1", "job", "(")', 'label_join(up, "", ",", "job")', "topk(NaN, up)",
    'label_replace(example_requests_total, "code", "", "", "")', 'count_values("", up)',
)  # fmt: skip
PARAMETERS: Sequence[Mapping[str, str]] = (
    {"dedup": "false"}, {"dedup": "0", "replicaLabels[]": "replica"}, {"replicaLabels[]": "nothing"},
    {"partial_response": "0"}, {"max_source_resolution": "auto"}, {"max_source_resolution": "-1"},
    {"lookback_delta": "1m"}, {"timeout": "abc"}, {"time": "abc"}, {"time": "1e400"}, {"engine": "other"},
    {"storeMatch[]": '{__address__="127.0.0.1:1"}'}, {"shard_info": "null"},
    {"shard_info": '{"total_shards":2,"by":true,"labels":["job"]}'},
)  # fmt: skip
RANGES: Sequence[Mapping[str, str]] = (
    {"step": ""}, {"step": "0"}, {"step": "-1"}, {"step": "abc"}, {"step": "1e400"}, {"start": "x"},
    {"end": "0"}, {"start": "0", "step": "1"},
)  # fmt: skip
LABELS: Sequence[tuple[str, Mapping[str, str]]] = (
    ("labels", {"match[]": "up"}), ("labels", {"match[]": "nothing"}), ("labels", {"limit": "-1"}),
    ("labels", {"match[]": "up", "limit": "2"}), ("labels", {"limit": "x"}), ("label/job/values", {}),
    ("label/realm/values", {}), ("label/replica/values", {"match[]": "up"}), ("label/nothing/values", {}),
    ("series", {"match[]": "up"}), ("series", {"match[]": "up", "dedup": "false"}), ("series", {}),
    ("series", {"match[]": "up{"}), ("series", {"match[]": "up", "limit": "1"}),
    ("series", {"match[]": "up", "start": "5", "end": "6"}),
)  # fmt: skip
METHODS = (
    ("OPTIONS", "query_range"), ("OPTIONS", "anything/at/all"), ("DELETE", "query"), ("POST", "rules"),
    ("POST", "stores"), ("GET", "nowhere"), ("GET", "/labels"),
)  # fmt: skip
HEADERS = (
    "content-type", "cache-control", "vary", "location", "access-control-allow-origin",
    "access-control-allow-methods", "access-control-allow-headers", "access-control-expose-headers",
)  # fmt: skip
PAIR = (REFERENCE, "crossrealm over its sidecars")
# Said by one of both only, and documented.
OWN_WARNINGS = ("PromQL warning: sort is ineffective",)


class Queriers(msgspec.Struct, frozen=True):
    """:param urls: of each querier, by what it stands on."""

    urls: Mapping[str, str]

    @property
    def others(self) -> list[str]:
        return [name for name in self.urls if name != REFERENCE]


@asynccontextmanager
async def thanos(command: str, flags: Sequence[str], logs: Path, name: str) -> AsyncIterator[tuple[str, str]]:
    """``thanos COMMAND`` with `flags`, entered when it is ready: its gRPC and HTTP addresses."""
    grpc_address, http_address = free_address(), free_address()
    words = [THANOS, command, f"--grpc-address={grpc_address}", f"--http-address={http_address}", *flags]
    async with running(name.replace(" ", "-"), words, logs, grace=10.0) as child:
        await until_up(child, f"http://{http_address}", 60.0)
        yield grpc_address, http_address


@asynccontextmanager
async def crossrealm(
    command: str, flags: Sequence[str], logs: Path, name: str
) -> AsyncIterator[tuple[str, str]]:
    """``crossrealm COMMAND`` likewise."""
    grpc_address, http_address = free_address(), free_address()
    words = [f"--grpc-address={grpc_address}", *flags]
    async with running_server(
        command, words, logs, http_address=http_address, name=name.replace(" ", "-"), limit=240.0
    ):
        yield grpc_address, http_address


@asynccontextmanager
async def queriers(directory: Path) -> AsyncIterator[Queriers]:
    """Two Prometheus, both kinds of sidecars before each, and queriers of both kinds over all."""
    async with AsyncExitStack() as stack:
        theirs: list[tuple[str, str]] = []
        ours: list[tuple[str, str]] = []
        example = await stack.enter_async_context(target())
        for replica in ("a", "b"):
            prometheus = PrometheusServer(
                name=f"prometheus-{replica}",
                directory=directory / replica,
                address=free_address(),
                external_labels={"realm": "eu", "replica": replica},
                targets={"example": [example], "down": ["127.0.0.1:1"]},
            )
            await stack.enter_async_context(prometheus.running(directory))
            flags = [f"--prometheus.url={prometheus.url}"]
            name = f"sidecar {replica}"
            data = [*flags, f"--tsdb.path={prometheus.directory / 'data'}"]
            theirs.append(
                await stack.enter_async_context(thanos("sidecar", data, directory, f"thanos {name}"))
            )
            ours.append(await stack.enter_async_context(crossrealm("sidecar", flags, directory, name)))
            await until(partial(_scrapes, prometheus.url), lambda count: count >= SAMPLES, "scrapes")

        async def querier(
            start: Any, name: str, under: Sequence[tuple[str, str]], *more: str
        ) -> tuple[str, str]:
            flags = [f"--endpoint={address}" for address, _ in under]
            flags += ["--query.replica-label=replica", *more]
            found: tuple[str, str] = await stack.enter_async_context(start("query", flags, directory, name))
            urls[name] = f"http://{found[1]}"
            return found

        urls: dict[str, str] = {}
        base = await querier(thanos, REFERENCE, theirs)
        own = await querier(crossrealm, PAIR[1], ours)
        await querier(thanos, "thanos over sidecars of crossrealm", ours)
        await querier(crossrealm, "crossrealm over sidecars of thanos", theirs)
        await querier(thanos, "thanos over crossrealm", [own])
        await querier(crossrealm, "crossrealm over thanos", [base])
        distributed = ("--query.mode=distributed", "--query.promql-engine=thanos")
        await querier(thanos, DISTRIBUTED, [own], *distributed)
        for url in urls.values():
            await until(partial(_count, url), lambda found: found == 4, "endpoints of all")
        yield Queriers(urls)


async def _scrapes(url: str) -> int:
    found = await instant(url, "min(count_over_time(example_requests_total[1h]))")
    return int(float(found[0]["value"][1])) if found else 0


async def _count(url: str) -> int:
    found = await instant(url, "count(up)")
    return int(found[0]["value"][1]) if found else 0


def comparable(path: str, body: Any) -> Any:
    """An answer without what may differ: order, the last digits of sums, and texts with addresses."""
    if not isinstance(body, dict):
        return body
    if body["status"] == "error":
        return body
    warnings = [text for text in body.get("warnings", ()) if not text.startswith(OWN_WARNINGS)]
    return {"data": _data(path, body["data"]), "warnings": sorted(warnings)}


def _data(path: str, data: Any) -> Any:
    match path:
        case "query" | "query_range":
            assert data["analysis"] == {}
            return {"resultType": data["resultType"], "result": _result(data["result"])}
        case "labels":
            return sorted(set(data))  # Thanos names some twice
        case "rules":
            return [[_steady(rule) for rule in group["rules"]] for group in data["groups"]]
        case "alerts":
            return sorted(str(_steady(alert)) for alert in data["alerts"])
        case "targets":
            return {kind: sorted(str(_steady(each)) for each in found) for kind, found in data.items()}
        case "series" | "query_exemplars":
            return sorted(msgspec.json.encode(each, order="sorted") for each in data)
        case _:
            return data


_UNSTEADY = frozenset(
    "activeAt alerts evaluationTime lastEvaluation lastScrape lastScrapeDuration value".split()
) | {"partialResponseStrategy"}


def _steady(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    return sorted((name, str(value)) for name, value in found.items() if name not in _UNSTEADY)


def _result(found: Any) -> Any:
    if found and isinstance(found[0], dict):
        series = [(sorted(each["metric"].items()), _rounded(each)) for each in found]
        return sorted(series, key=lambda each: each[0])
    return found


def _rounded(series: Mapping[str, Any]) -> list[tuple[float, str]]:
    points = series["values"] if "values" in series else [series["value"]]
    return [(time, f"{float(value):.10g}") for time, value in points]


class Asking:
    """Mutable: the differences, which `same` adds to.

    :param them: all queriers, to be asked the same.
    """

    def __init__(self, them: Queriers, http: httpx.AsyncClient) -> None:
        self.them = them
        self.differences: list[str] = []
        self._http = http

    async def same(
        self, path: str, parameters: Mapping[str, str], *, names: Sequence[str] = (), post: bool = False
    ) -> None:
        """Status, type, caching and content are those of the reference.

        :param names: of queriers; none: all but the distributed one.
        """
        wanted = await self._ask(REFERENCE, path, parameters, post)
        for name in names or [each for each in self.them.others if each != DISTRIBUTED]:
            found = await self._ask(name, path, parameters, post)
            if found != wanted:
                asked = f"{name}: {path} {dict(parameters)}"
                self.differences.append(f"{asked}\n  {str(found)[:600]}\n  {str(wanted)[:600]}")

    async def _ask(self, name: str, path: str, parameters: Mapping[str, str], post: bool) -> Any:
        url = f"{self.them.urls[name]}/api/v1/{path}"
        if post:
            answer = await self._http.post(url, data=parameters)
        else:
            answer = await self._http.get(url, params=parameters)
        headers = [answer.headers.get(each) for each in ("content-type", "vary", "cache-control")]
        return answer.status_code, headers, comparable(path, answer.json())


@pytest.mark.skipif(not THANOS, reason="CROSSREALM_THANOS names no program of Thanos")
async def test_answers_are_those_of_thanos(tmp_path: Path) -> None:
    async with (
        queriers(tmp_path) as them,
        httpx.AsyncClient(timeout=30.0, headers={"accept-encoding": "gzip"}) as http,
    ):
        asking = Asking(them, http)
        begin, end = (time // 1000 for time in settled_range(6.0))
        await queries(asking, begin, end)
        await labels(asking)
        await proxied(asking, begin, end)
        await methods(them, http)
    assert not asking.differences, "\n".join(asking.differences)


async def queries(asking: Asking, begin: int, end: int) -> None:
    at, span = {"time": f"{end}"}, {"start": f"{begin}", "end": f"{end}", "step": "2"}
    for text in (*EXPRESSIONS, *FAULTS):
        post = len(text) % 2 == 0
        await asking.same("query", {"query": text, **at}, post=post)
        await asking.same("query_range", {"query": text, **span}, post=post)
    for more in PARAMETERS:
        await asking.same("query", {"query": "up", **at, **more})
    for more in RANGES:
        await asking.same("query_range", {"query": "1", **span, **more})
    for text in ("sum by (code) (rate(example_requests_total[4s]))", "count(up)", "max(up) by (job)"):
        await asking.same("query", {"query": text, **at}, names=[DISTRIBUTED])
        await asking.same("query_range", {"query": text, **span}, names=[DISTRIBUTED])


async def labels(asking: Asking) -> None:
    for path, parameters in LABELS:
        await asking.same(path, parameters)


async def proxied(asking: Asking, begin: int, end: int) -> None:
    for path in ("rules", "alerts", "targets", "metadata"):
        await asking.same(path, {})
    for parameters in ({"type": "alert"}, {"type": "x"}, {"match[]": "{}"}, {"rule_name[]": "AlwaysFiring"}):
        await asking.same("rules", parameters)
    for state in ("active", "dropped", "x"):
        await asking.same("targets", {"state": state})
    await asking.same("metadata", {"metric": "example_requests"})
    exemplars = {"query": "example_request_duration_seconds_bucket", "start": f"{begin}", "end": f"{end}"}
    await asking.same("query_exemplars", exemplars)
    await asking.same("query_exemplars", {**exemplars, "query": "nothing"}, post=True)


async def methods(them: Queriers, http: httpx.AsyncClient) -> None:
    """Paths and methods that are none, where only the caller has to know; CORS of all that are."""
    for method, path in METHODS:
        answers = [await http.request(method, f"{them.urls[name]}/api/v1/{path}") for name in PAIR]
        statuses = {answer.status_code for answer in answers}
        assert len(statuses) == 1, (method, path, statuses)
        if statuses == {307}:
            assert answers[0].headers["location"] == answers[1].headers["location"] == "/api/v1/labels"
        elif statuses == {204}:
            assert len({tuple(answer.headers.get(each) for each in HEADERS) for answer in answers}) == 1
