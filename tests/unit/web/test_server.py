"""uvicorn behind our acceptor, over real sockets."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.rpc.acceptor import bind
from app.rpc.server_metrics import ServerMetrics
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider
from app.web.departure import departure
from app.web.server import HttpServer
from tests.pki import CA

pytestmark = pytest.mark.anyio


class Slow:
    """An application whose answer waits for `release`."""

    def __init__(self) -> None:
        self.asked, self.release = anyio.Event(), anyio.Event()
        self.app = Starlette(
            routes=[Route("/", self.quick), Route("/slow", self.slow), Route("/left", self.left)]
        )

    async def left(self, request: Request) -> PlainTextResponse:
        """An answer to nobody: waits for its client to go away."""
        gone = anyio.Event()
        with departure(request.scope).told(gone.set):
            self.asked.set()
            await gone.wait()
            self.release.set()
        return PlainTextResponse("nobody")

    async def quick(self, _: Request) -> PlainTextResponse:
        return PlainTextResponse("quick")

    async def slow(self, _: Request) -> PlainTextResponse:
        self.asked.set()
        await self.release.wait()
        return PlainTextResponse("slow")


@asynccontextmanager
async def serving(slow: Slow, tls: Provider | None = None) -> AsyncIterator[HttpServer]:
    server = HttpServer(slow.app, bind("127.0.0.1:0"), tls=tls, metrics=ServerMetrics(CollectorRegistry()))
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.run)
        yield server
        tasks.cancel_scope.cancel()


async def test_plain() -> None:
    async with serving(Slow()) as server, httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{server.ports[0]}/")).text == "quick"


async def test_a_client_that_goes_away_is_told_of() -> None:
    slow = Slow()
    async with serving(slow) as server:
        with anyio.fail_after(5):
            async with await anyio.connect_tcp("127.0.0.1", server.ports[0]) as client:
                await client.send(b"GET /left HTTP/1.1\r\nHost: x\r\n\r\n")
                await slow.asked.wait()
            await slow.release.wait()


async def test_a_request_in_flight_ends_before_the_drain_does() -> None:
    slow = Slow()
    answers: list[str] = []
    async with serving(slow) as server, httpx.AsyncClient() as http, anyio.create_task_group() as tasks:
        url = f"http://127.0.0.1:{server.ports[0]}/slow"

        async def ask() -> None:
            answers.append((await http.get(url)).text)

        tasks.start_soon(ask)
        with anyio.fail_after(5):
            await slow.asked.wait()
        async with anyio.create_task_group() as draining:
            draining.start_soon(server.drain, 5.0)
            slow.release.set()
        assert answers == ["slow"]
        with pytest.raises(httpx.ConnectError):
            await http.get(url)


async def test_a_drain_does_not_wait_beyond_its_grace() -> None:
    slow = Slow()
    async with serving(slow) as server, httpx.AsyncClient() as http, anyio.create_task_group() as tasks:

        async def ask() -> None:
            with pytest.raises(httpx.HTTPError):
                await http.get(f"http://127.0.0.1:{server.ports[0]}/slow", timeout=30)

        tasks.start_soon(ask)
        with anyio.fail_after(5):
            await slow.asked.wait()
            await server.drain(0.2)
        slow.release.set()
        tasks.cancel_scope.cancel()


async def test_its_certificate_rotates(tmp_path: Path) -> None:
    authority = CA("http CA")
    first = authority.issue()
    cert, key = first.write(tmp_path)
    async with anyio.create_task_group() as tasks:
        cache = CertificateCache(metrics=TlsMetrics(CollectorRegistry()))
        await tasks.start(cache.run)
        files = TlsFiles(cert_file=str(cert), key_file=str(key))
        policy = TlsPolicy(min_version="1.2", verify_peer=False, alpn=("http/1.1",))
        provider = cache.provider("http", Role.SERVER, files, policy)
        async with serving(Slow(), provider) as server:
            assert await _serial(server.ports[0], authority) == first.serial
            second = authority.issue()
            second.write(tmp_path)
            assert await _serial(server.ports[0], authority) == second.serial
        tasks.cancel_scope.cancel()


async def _serial(port: int, authority: CA) -> str:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    async with (
        httpx.AsyncClient(verify=context) as http,
        http.stream("GET", f"https://localhost:{port}/") as answer,
    ):
        stream = answer.extensions["network_stream"]
        certificate = stream.get_extra_info("ssl_object").getpeercert()
        assert (await answer.aread()) == b"quick"
    return str(certificate["serialNumber"]).lower().lstrip("0")
