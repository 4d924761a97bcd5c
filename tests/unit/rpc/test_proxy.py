"""Proxies: whether one is used is decided as in Go, and the endpoint behind one is reached."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest

from app.errors import CallError
from app.rpc.proxy import Proxy, connect_request, proxy_for, refused_by
from tests.unit.rpc.test_listener import Echo, calling, listening

pytestmark = pytest.mark.anyio

HTTPS = {"HTTPS_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("http://proxy:3128", Proxy("proxy", 3128)),
        ("proxy:3128", Proxy("proxy", 3128)),
        ("http://proxy", Proxy("proxy", 80)),
        ("http://me:p%40ss@[::1]:8", Proxy("::1", 8, "me:p@ss")),
        ("", None),
    ],
)
def test_proxies(value: str, wanted: Proxy | None) -> None:
    assert proxy_for("store.example", 1, {"HTTPS_PROXY": value}) == wanted
    assert proxy_for("store.example", 1, {"https_proxy": value}) == wanted


@pytest.mark.parametrize("value", ["https://proxy:1", "socks5://proxy:1", "http://:1", "http://proxy:x"])
def test_what_is_no_proxy(value: str) -> None:
    with pytest.raises(ValueError, match="not the URL"):
        proxy_for("store.example", 1, {"HTTPS_PROXY": value})


@pytest.mark.parametrize(
    ("excluded", "host", "used"),
    [
        ("", "a.example", True),
        ("", "localhost", False),
        ("", "127.0.0.8", False),
        ("", "::1", False),
        ("*", "a.example", False),
        ("a.example", "a.example", False),
        ("a.example", "A.Example.", False),
        ("example", "a.example", False),
        ("ample", "a.example", True),
        (".example", "a.example", False),
        (".example", "example", True),
        ("*.example", "a.example", False),
        ("b.example, a.example", "a.example", False),
        ("a.example:10901", "a.example", False),
        ("a.example:10902", "a.example", True),
        ("10.0.0.0/8", "10.1.2.3", False),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("10.0.0.0/8", "ten.example", True),
        ("10.1.2.3", "10.1.2.3", False),
        ("fd00::/8", "fd00::1", False),
        ("[fd00::1]:10901", "fd00::1", False),
        ("fd00::1", "fd00::2", True),
        ("bad/net", "a.example", True),
    ],
)
def test_what_no_proxy_covers(excluded: str, host: str, used: bool) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        assert (proxy_for(host, 10901, {**HTTPS, name: excluded}) is not None) is used


def test_what_the_proxy_is_sent() -> None:
    assert connect_request(Proxy("proxy", 1, "me:pw"), "::2", 3) == (
        b"CONNECT [::2]:3 HTTP/1.1\r\nHost: [::2]:3\r\nUser-Agent: crossrealm\r\n"
        b"Proxy-Authorization: Basic bWU6cHc=\r\n\r\n"
    )
    assert str(Proxy("proxy", 1, "me:pw")) == "proxy:1"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n", ""),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it answers 407 .* needs user"),
        (b"HTTP/1.0 502\r\n\r\n", "it answers 502"),
        (b"SSH-2.0\r\n\r\n", "no HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\n", "closed the connection"),
    ],
)
def test_answers_of_proxies(answer: bytes, says: str) -> None:
    assert re.fullmatch(f".*{says}.*" if says else "", refused_by(answer))


@asynccontextmanager
async def proxy(
    port: int, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n"
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A proxy on loopback that connects everybody to `port`; its address, and what it was asked."""
    asked: list[bytes] = []

    async def serve(client: anyio.abc.SocketStream) -> None:
        async with client:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += await client.receive()
            asked.append(request)
            await client.send(answer)
            if b" 200 " not in answer:
                return
            async with (
                await anyio.connect_tcp("127.0.0.1", port) as server,
                anyio.create_task_group() as both,
            ):
                both.start_soon(pump, client, server)
                both.start_soon(pump, server, client)

    async def pump(source: anyio.abc.SocketStream, sink: anyio.abc.SocketStream) -> None:
        try:
            async for data in source:
                await sink.send(data)
            await sink.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            pass

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, serve)
        yield f"127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}", asked
        tasks.cancel_scope.cancel()


async def test_an_endpoint_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(Echo()) as (listener, _), proxy(listener.ports[0]) as (address, asked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pw@{address}")
        async with calling(10901, host="store.example") as channel:
            assert await channel.unary("/test.Echo/Echo", b"through", timeout=10) == b"through"
    assert [each.split(b"\r\n")[0] for each in asked] == [b"CONNECT store.example:10901 HTTP/1.1"]


async def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    async with proxy(1, refusal) as (address, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        async with calling(10901, host="store.example") as channel:
            with pytest.raises(CallError, match=rf"the proxy {address} does not connect .* it answers 407"):
                await channel.unary("/test.Echo/Echo", b"x", timeout=10)
