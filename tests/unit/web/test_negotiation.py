"""Paths and compression, read as other servers read them."""

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.web.negotiation import accepts_gzip, agreed, cleaned
from app.web.prefix import Prefixes
from app.web.site import make_site

pytestmark = pytest.mark.anyio

LONG = "x" * 2000


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/", "/"),
        ("//", "/"),
        ("//api/v1/query", "/api/v1/query"),
        ("/api//v1///query", "/api/v1/query"),
        ("/api/v1/./x/../query", "/api/v1/query"),
        ("/../../a", "/a"),
        ("//a/", "/a/"),
        ("/label/a%2F%2Fb/values", "/label/a%2F%2Fb/values"),
        ("//evil.example/x", "/evil.example/x"),
        ("//\\evil.example", "/%5Cevil.example"),
    ],
)
def test_cleaned_paths_stay_on_this_host(path: str, clean: str) -> None:
    assert cleaned(path) == clean
    assert cleaned(clean) == clean


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("*", False),
        ("*;q=0, gzip", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("br, deflate", False),
        ("gzippy", False),
        ("", False),
        ("gzip;q=much", True),
    ],
)
def test_who_takes_gzip(accepted: str, wanted: bool) -> None:
    assert accepts_gzip(accepted) is wanted


def test_headers_say_gzip_or_nothing() -> None:
    host = (b"host", b"a")
    assert agreed([(b"accept-encoding", b"br"), host, (b"accept-encoding", b"gzip")]) == [
        host,
        (b"accept-encoding", b"gzip"),
    ]
    assert agreed([(b"accept-encoding", b"gzip;q=0"), host]) == [host]


def site(prefixes: Prefixes) -> httpx.AsyncClient:
    async def found(request: Request) -> Response:
        return PlainTextResponse(LONG if request.method == "GET" else "short")

    app = make_site(
        lambda: (True, ""),
        CollectorRegistry(),
        index="",
        routes=[Route(prefixes.route + "/found", found, methods=["GET", "POST"])],
        prefixes=prefixes,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize(
    ("prefixes", "path", "target"),
    [
        (Prefixes(), "//found", "/found"),
        (Prefixes(), "//found?a=1&a=%2F", "/found?a=1&a=%2F"),
        (Prefixes(route="/p"), "/p//found", "/p/found"),
        (Prefixes(route="/p", external="/shown"), "/p//found", "/shown/found"),
        (Prefixes(external="/shown"), "//found", "/shown/found"),
        (Prefixes(route="/p"), "//-/healthy", "/-/healthy"),
    ],
)
async def test_paths_that_are_not_clean_are_redirected(prefixes: Prefixes, path: str, target: str) -> None:
    async with site(prefixes) as http:
        for method in ("GET", "POST"):
            answer = await http.request(method, f"http://test{path}")
            assert (answer.status_code, answer.headers["location"]) == (307, target)


async def test_no_redirect_names_a_host() -> None:
    async with site(Prefixes()) as http:
        for path in ("/found/", "/nowhere/"):
            answer = await http.get(path)
            assert (answer.status_code, answer.headers.get("location")) == (404, None)


@pytest.mark.parametrize("accepted", ["gzip", "gzip;q=0", ""])
async def test_caches_are_told_what_answers_depend_on(accepted: str) -> None:
    async with site(Prefixes()) as http:
        for answer in (
            await http.get("/found", headers={"accept-encoding": accepted}),
            await http.post("/found", headers={"accept-encoding": accepted}),
            await http.get("/nowhere", headers={"accept-encoding": accepted}),
        ):
            assert answer.headers.get_list("vary") == ["Accept-Encoding"]
        large = await http.get("/found", headers={"accept-encoding": accepted})
    assert large.headers.get("content-encoding") == ("gzip" if accepted == "gzip" else None)
    assert large.text == LONG
