"""What all paths of the API have in common: methods, CORS, compression, prefixes; and the status paths."""

import gzip
import json
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from app.config.model import HttpSettings, QuerySettings
from app.config.web_prefix import clean_prefix
from app.engine.model import Matrix
from app.web.site import make_site
from tests.unit.web.api.fakes import FakeEngine, client
from tests.unit.web.api.test_queries import RANGE, row

pytestmark = pytest.mark.anyio

BOTH = ["query", "query_range", "query_explain", "query_range_explain", "labels", "series"]
BOTH += ["query_exemplars", "format_query", "parse_query"]
GET = ["label/job/values", "rules", "alerts", "targets", "metadata"]
GET += ["status/tsdb", "status/buildinfo", "status/flags", "status/runtimeinfo"]
GIVEN = {**RANGE, "match[]": "up", "engine": "thanos"}
CORS = {
    "access-control-allow-headers": "Accept, Accept-Encoding, Authorization, Content-Type, Origin",
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "Date",
}


def cors(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control")}


@pytest.mark.parametrize("path", BOTH + GET)
async def test_methods_and_cors(path: str) -> None:
    async with client() as http:
        got = await http.get(f"/api/v1/{path}", params=GIVEN)
        assert (got.status_code, got.json()["status"], cors(got)) == (200, "success", CORS), got.text
        posted = await http.post(f"/api/v1/{path}", data=GIVEN)
        if path in BOTH:
            assert (posted.status_code, cors(posted)) == (200, CORS), posted.text
        else:
            assert (posted.status_code, cors(posted)) == (405, CORS)
            assert "GET" in posted.headers["allow"]
        asked = await http.options(f"/api/v1/{path}")
        assert (asked.status_code, asked.content, cors(asked)) == (204, b"", CORS)


async def test_paths_that_are_none() -> None:
    async with client() as http:
        for path in ("/api/v1/nowhere", "/api/v1/", "/api/v1/label/values", "/api/v1/query/x"):
            answer = await http.get(path)
            assert (answer.status_code, cors(answer)) == (404, CORS)
        assert (await http.options("/api/v1/anywhere/at/all")).status_code == 204
        assert (await http.delete("/api/v1/query")).status_code == 405


async def test_paths_that_stand_before_the_others_tell_their_methods() -> None:
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from tests.unit.web.api.fakes import site

    async def stores(_: Any) -> Any:
        return PlainTextResponse("stores")

    transport = httpx.ASGITransport(site(before=[Route("/api/v1/stores", stores)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.get("/api/v1/stores")).text == "stores"
        answer = await http.post("/api/v1/stores")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_errors_have_cors_too() -> None:
    async with client() as http:
        answer = await http.get("/api/v1/query", params={"query": "("})
    assert (answer.status_code, cors(answer)) == (400, CORS)


async def test_cors_can_be_switched_off() -> None:
    async with client(settings=QuerySettings(http=HttpSettings(cors=False))) as http:
        for answer in (
            await http.get("/api/v1/query", params={"query": "up"}),
            await http.get("/api/v1/query"),
            await http.options("/api/v1/query"),
            await http.get("/api/v1/nowhere"),
        ):
            assert cors(answer) == {}


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
async def test_answers_are_compressed_where_that_is_accepted(accepted: str) -> None:
    engine = FakeEngine(Matrix([row({}, *((time * 1000, 1.5) for time in range(1000)))]))
    async with (
        client(engine) as http,
        http.stream("GET", "/api/v1/query", params=RANGE, headers={"accept-encoding": accepted}) as answer,
    ):
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == ("gzip" if accepted == "gzip" else None)
    content = gzip.decompress(raw) if accepted == "gzip" else raw
    assert len(json.loads(content)["data"]["result"][0]["values"]) == 1000


# -- prefixes


async def test_everything_but_probes_is_under_the_prefix() -> None:
    settings = QuerySettings(http=HttpSettings(route_prefix="/a/b"))
    async with client(settings=settings) as http:
        assert (await http.get("/a/b/api/v1/query", params={"query": "up"})).status_code == 200
        assert (await http.options("/a/b/api/v1/query")).status_code == 204
        assert (await http.get("/api/v1/query", params={"query": "up"})).status_code == 404
        assert (await http.get("/a/b/")).text == "paths"
        for path in ("/-/healthy", "/-/ready", "/metrics"):
            assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("http_settings", "headers", "target"),
    [
        (HttpSettings(route_prefix="/a"), {}, "/a/"),
        (HttpSettings(route_prefix="/a", external_prefix="/x/y"), {"x-prefix": "/z"}, "/x/y/"),
        (HttpSettings(route_prefix="/a", prefix_header="X-Prefix"), {"x-prefix": "/z"}, "/z/"),
        (HttpSettings(route_prefix="/a", prefix_header="X-Prefix"), {}, "/a/"),
        (HttpSettings(route_prefix="/a"), {"x-prefix": "/z"}, "/a/"),
        (
            HttpSettings(route_prefix="/a", prefix_header="X-Prefix"),
            {"x-prefix": "//evil.example/../b"},
            "/b/",
        ),
        (
            HttpSettings(route_prefix="/a", prefix_header="X-Prefix"),
            {"x-prefix": "https://evil.example/b"},
            "/b/",
        ),
    ],
)
async def test_people_are_sent_to_the_prefix(
    http_settings: HttpSettings, headers: dict[str, str], target: str
) -> None:
    async with client(settings=QuerySettings(http=http_settings)) as http:
        for path in ("/", "/a"):
            answer = await http.get(path, headers=headers)
            assert (answer.status_code, answer.headers["location"]) == (302, target)


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("", ""),
        ("/", ""),
        ("a", "/a"),
        ("/a/b/", "/a/b"),
        ("//a//b", "/b"),
        ("/a/../b/.", "/a/b"),
        ("http://h/p", "/p"),
        ("http://[", ""),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/\\evil\r\n", "/%5Cevil"),
    ],
)
def test_prefixes_stay_on_this_host(text: str, prefix: str) -> None:
    assert clean_prefix(text) == prefix


async def test_requests_are_counted_by_the_path_as_it_is_declared() -> None:
    from starlette.applications import Starlette

    from tests.unit.web.api.fakes import site

    app = site()
    assert isinstance(app, Starlette)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        for name in ("a", "b"):
            await http.get(f"/api/v1/label/{name}/values")
        await http.get("/api/v1/nowhere")
        text = (await http.get("/metrics")).text
    assert 'http_requests_total{code="200",handler="/api/v1/label/{name}/values",method="get"} 2.0' in text
    assert 'http_requests_total{code="404",handler="/api/v1/{rest:path}",method="get"} 1.0' in text


async def test_an_answer_that_breaks_is_counted_as_500() -> None:
    from starlette.routing import Route

    async def broken(_: Any) -> Any:
        raise RuntimeError

    registry = CollectorRegistry()
    app = make_site(lambda: (True, ""), registry, index="", routes=[Route("/broken", broken)])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.get("/broken")).status_code == 500
        assert (
            'http_requests_total{code="500",handler="/broken",method="get"} 1.0'
            in (await http.get("/metrics")).text
        )


# -- status


async def test_status() -> None:
    settings = QuerySettings(flags=(("query.timeout", "2m"), ("endpoint", "a:1,b:1")))
    async with client(settings=settings) as http:
        build = (await http.get("/api/v1/status/buildinfo")).json()["data"]
        assert set(build) == {"version", "revision", "branch", "buildUser", "buildDate", "goVersion"}
        assert build["version"].startswith("0.43.0+crossrealm.")
        flags = (await http.get("/api/v1/status/flags")).json()["data"]
        assert flags == {"query.timeout": "2m", "endpoint": "a:1,b:1"}
        runtime = (await http.get("/api/v1/status/runtimeinfo")).json()["data"]
    assert runtime["startTime"] == "2023-11-14T22:13:20.250000Z"
    assert runtime["goroutineCount"] > 0 and runtime["GOMAXPROCS"] > 0
    assert set(runtime) == {
        "startTime",
        "CWD",
        "goroutineCount",
        "GOMAXPROCS",
        "GOGC",
        "GODEBUG",
        "GOMEMLIMIT",
    }
