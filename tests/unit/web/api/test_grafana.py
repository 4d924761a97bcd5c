"""The requests of Grafana's Prometheus data source, as it sends them, and the shapes that it reads."""

from collections.abc import Mapping
from typing import Any

import pytest

from app.config.model import QuerySettings
from app.config.query_options import QueryOptions
from app.engine.model import Matrix, Sample, Scalar, Vector
from app.fanout.wire import framed
from app.pb.thanos import (
    LabelMatcher,
    LabelNamesResponse,
    LabelValuesRequest,
    LabelValuesResponse,
    RulesResponse,
    SeriesRequest,
)
from tests.unit.fanout.answers import FakeChannel, batch, series, view
from tests.unit.web.api.fakes import FakeEngine, client
from tests.unit.web.api.test_proxied import exemplars, metadata, rules
from tests.unit.web.api.test_queries import row

pytestmark = pytest.mark.anyio

FORM = {"content-type": "application/x-www-form-urlencoded", "accept-encoding": "gzip"}
NAMES = view("a:1", FakeChannel("a:1", answer=bytes(LabelNamesResponse(names=["job", "__name__"]))))
SERIES = view("a:1", FakeChannel("a:1", [batch(series((("__name__", "up"), ("job", "a"))))]))


async def post(path: str, form: Mapping[str, str], *views: Any, engine: FakeEngine | None = None) -> Any:
    """`data` of a form that was posted, with the parameters of the data source in the URL."""
    async with client(engine, *views) as http:
        custom = {"max_source_resolution": "auto", "dedup": "true"}
        answer = await http.post(f"/api/v1/{path}", params=custom, data=form, headers=FORM)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["status"] == "success"
    return answer.json()["data"]


async def get(path: str, parameters: Mapping[str, str], *views: Any) -> Any:
    async with client(None, *views) as http:
        answer = await http.get(f"/api/v1/{path}", params=parameters, headers={"accept-encoding": "gzip"})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_its_health_check() -> None:
    engine = FakeEngine(Scalar(4000, 2.0))
    data = await post("query", {"query": "1+1", "time": "4"}, engine=engine)
    assert (data["resultType"], data["result"]) == ("scalar", [4, "2"])
    build = await get("status/buildinfo", {})
    assert build["version"] and "features" not in build


async def test_a_panel() -> None:
    engine = FakeEngine(Matrix([row({"__name__": "up", "job": "a"}, (1_700_000_010_000, 1.0))]))
    form = {"query": "up", "start": "1700000010", "end": "1700003610", "step": "15", "timeout": "60"}
    data = await post("query_range", form, engine=engine)
    assert data["resultType"] == "matrix"
    assert data["result"] == [{"metric": {"__name__": "up", "job": "a"}, "values": [[1700000010, "1"]]}]
    (request,) = engine.requests
    assert (request.start, request.end, request.step) == (1_700_000_010_000, 1_700_003_610_000, 15_000)
    assert (request.select.dedup, request.select.max_resolution) == (True, 3000)


async def test_a_panel_with_milliseconds() -> None:
    engine = FakeEngine(Matrix([]))
    form = {"query": "up", "start": "1700000010.345", "end": "1700000070.345", "step": "0.5"}
    assert (await post("query_range", form, engine=engine))["result"] == []
    assert (engine.requests[0].start, engine.requests[0].step) == (1_700_000_010_345, 500)


async def test_a_table() -> None:
    engine = FakeEngine(Vector([Sample((("job", "a"),), 1.5, 1_700_000_000_123)]))
    data = await post("query", {"query": "up", "time": "1700000000.123"}, engine=engine)
    assert data["resultType"] == "vector"
    assert data["result"] == [{"metric": {"job": "a"}, "value": [1700000000.123, "1.5"]}]


async def test_exemplars_of_a_panel() -> None:
    form = {"query": "rate(up[1m])", "start": "1700000010", "end": "1700003610"}
    (found,) = await post("query_exemplars", form, exemplars())
    assert set(found) == {"seriesLabels", "exemplars"}
    assert set(found["exemplars"][0]) == {"labels", "value", "timestamp"}


async def test_the_builder_and_autocompletion() -> None:
    times = {"start": "1700000000", "end": "1700003600"}
    many = {**times, "limit": "40000"}
    assert await post("labels", many, NAMES) == ["__name__", "job"]
    assert await post("labels", {**many, "match[]": '{job="a"}'}, NAMES) == ["__name__", "job"]
    assert await get("label/__name__/values", many, NAMES) == ["__name__", "job"]
    assert await get("label/U__a_2e_b/values", {**many, "match[]": "up"}, NAMES) == ["__name__", "job"]
    assert await post("series", {**many, "match[]": '{__name__="up"}'}, SERIES) == [
        {"__name__": "up", "job": "a"}
    ]
    found = await get("metadata", {"limit": "40000"}, metadata())
    assert all({"type", "help", "unit"} == set(meta) for metas in found.values() for meta in metas)


async def test_variables_of_a_dashboard() -> None:
    """``label_values(up{job="a"}, http.code)`` both ways, ``metrics(u.*)`` and ``query_result(...)``.

    Stores are asked for names as they are, and for one more than may be told.
    """
    times = {"start": "1700000000", "end": "1700003600", "limit": "2"}
    wanted = [LabelMatcher(name="job", value="a"), LabelMatcher(name="__name__", value="up")]
    values = FakeChannel("a:1", answer=bytes(LabelValuesResponse(values=["200", "404", "500"])))
    path = "label/U__http_2e_code/values"
    assert await get(path, {**times, "match[]": 'up{job="a"}'}, view("a:1", values)) == ["200", "404"]
    request = LabelValuesRequest.parse(values.requests[0])
    assert (request.label, request.limit, request.matchers) == ("http.code", 3, wanted)
    assert (request.start, request.end) == (1_700_000_000_000, 1_700_003_600_000)

    found = FakeChannel("a:1", [batch(series((("__name__", "up"), ("http.code", "200"), ("job", "a"))))])
    assert await post("series", {**times, "match[]": 'up{job="a"}'}, view("a:1", found)) == [
        {"__name__": "up", "http.code": "200", "job": "a"}
    ]
    asked = SeriesRequest.parse(found.requests[0])
    assert (asked.matchers, asked.skip_chunks, asked.limit) == (wanted, True, 3)

    names = FakeChannel("a:1", answer=bytes(LabelValuesResponse(values=["up", "uptime"])))
    assert await get("label/__name__/values", times, view("a:1", names)) == ["up", "uptime"]

    engine = FakeEngine(Vector([Sample((("job", "a"),), 2.0, 1_700_003_600_000)]))
    data = await post("query", {"query": "count by (job) (up)", "time": "1700003600"}, engine=engine)
    assert data["result"] == [{"metric": {"job": "a"}, "value": [1700003600, "2"]}]


async def test_rules_and_alerts() -> None:
    groups = (await get("rules", {}, rules()))["groups"]
    assert {"name", "file", "interval", "rules"} <= set(groups[0])
    assert {rule["type"] for rule in groups[0]["rules"]} == {"alerting", "recording"}
    (alert,) = (await get("alerts", {}, rules()))["alerts"]
    assert {"labels", "annotations", "state", "activeAt", "value"} <= set(alert)
    empty = view("a:1", FakeChannel("a:1", [framed(bytes(RulesResponse(warning="x")))]))
    assert (await get("rules", {}, empty))["groups"] == []


@pytest.mark.parametrize("path", ["metadata", "rules", "targets", "alerts", "label/job/values"])
async def test_it_falls_back_from_post_by_the_status(path: str) -> None:
    async with client() as http:
        assert (await http.post(f"/api/v1/{path}", data={"limit": "1"})).status_code == 405


async def test_browsers_ask_first() -> None:
    async with client() as http:
        answer = await http.options(
            "/api/v1/query_range",
            headers={"origin": "http://grafana", "access-control-request-method": "POST"},
        )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]


async def test_an_error_is_what_its_panels_show() -> None:
    settings = QuerySettings(query=QueryOptions())
    async with client(settings=settings) as http:
        answer = await http.post("/api/v1/query_range", data={"query": "up{", "start": "0", "end": "1"})
    assert answer.status_code == 400
    assert set(answer.json()) == {"status", "errorType", "error"}
