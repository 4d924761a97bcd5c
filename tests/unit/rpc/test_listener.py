"""The listener with our own channel against it, in one process: calls that end in every way there is."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from prometheus_client import CollectorRegistry

from app.errors import CallError, Code
from app.rpc.acceptor import AcceptorLimits, bind
from app.rpc.channel import Channel, ChannelOptions
from app.rpc.listener import Listener, ListenerOptions
from app.rpc.metrics import ClientMetrics
from app.rpc.model import ServerCall, Service
from app.rpc.server_metrics import ServerMetrics
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider
from tests.pki import CA, replace

pytestmark = pytest.mark.anyio


class Echo:
    """Handlers, and what they saw."""

    def __init__(self) -> None:
        self.begun, self.cancelled, self.release = anyio.Event(), anyio.Event(), anyio.Event()
        self.remaining: float | None = None
        self.metadata: dict[str, str] = {}

    async def echo(self, call: ServerCall) -> None:
        self.remaining, self.metadata = call.remaining, dict(call.metadata)
        while (message := await call.receive()) is not None:
            await call.send(message)

    async def wait(self, call: ServerCall) -> None:
        await call.receive()
        self.begun.set()
        try:
            await self.release.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled.set()
            raise
        await call.send(b"waited")

    async def fail(self, call: ServerCall) -> None:
        raise CallError(Code.FAILED_PRECONDITION, "not today: 100 % ä")

    async def crash(self, call: ServerCall) -> None:
        raise RuntimeError("a secret of the handler")

    def service(self) -> Service:
        handlers = {"Echo": self.echo, "Wait": self.wait, "Fail": self.fail, "Crash": self.crash}
        return Service("test.Echo", handlers)


@asynccontextmanager
async def listening(
    echo: Echo, tls: Provider | None = None, **options: object
) -> AsyncIterator[tuple[Listener, CollectorRegistry]]:
    registry = CollectorRegistry()
    listener = Listener(
        [echo.service()],
        bind("127.0.0.1:0"),
        tls=tls,
        options=ListenerOptions(**options),  # type: ignore[arg-type]
        metrics=ServerMetrics(registry),
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(listener.run)
        yield listener, registry
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def calling(
    port: int, tls: Provider | None = None, compression: str = "", host: str = "127.0.0.1"
) -> AsyncIterator[Channel]:
    channel = Channel(
        f"{host}:{port}",
        group="test",
        tls=tls,
        metrics=ClientMetrics(CollectorRegistry()),
        options=ChannelOptions(
            drain_window=0.2, connect_timeout=5, handshake_timeout=5, compression=compression
        ),
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(channel.run)
        yield channel
        await channel.aclose(1.0)
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def pair(**options: object) -> AsyncIterator[tuple[Echo, Listener, Channel]]:
    echo = Echo()
    async with listening(echo, None, **options) as (listener, _), calling(listener.ports[0]) as channel:
        yield echo, listener, channel


@pytest.mark.parametrize("size", [0, 1, 16_384, 65_535, 3_000_000])
async def test_messages_of_any_size_come_back(size: int) -> None:
    async with pair() as (_, _, channel):
        message = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        assert await channel.unary("/test.Echo/Echo", message, timeout=10) == message


@pytest.mark.parametrize("compression", ["snappy", "gzip"])
async def test_messages_are_compressed_both_ways(compression: str) -> None:
    echo = Echo()
    async with (
        listening(echo) as (listener, registry),
        calling(listener.ports[0], compression=compression) as channel,
    ):
        for message in (b"", b"x", bytes(3_000_000)):
            assert await channel.unary("/test.Echo/Echo", message, timeout=10) == message
        with pytest.raises(CallError, match="larger than the limit of 4194304") as caught:
            await channel.unary("/test.Echo/Echo", bytes(5_000_000), timeout=10)
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
    labels = {"grpc_type": "unary", "grpc_service": "test.Echo", "grpc_method": "Echo"}
    for name, value in (("started", 4), ("msg_received", 4), ("msg_sent", 3)):
        assert registry.get_sample_value(f"grpc_server_{name}_total", labels) == value
    for code, value in (("OK", 3), ("ResourceExhausted", 1), ("Internal", 0)):
        found = registry.get_sample_value("grpc_server_handled_total", {**labels, "grpc_code": code})
        assert found == value


async def test_an_encoding_that_is_not_known_is_refused_with_those_that_are() -> None:
    async with pair() as (_, listener, _), calling(listener.ports[0], compression="br") as channel:
        with pytest.raises(CallError, match="snappy,gzip,identity are") as caught:
            await channel.unary("/test.Echo/Echo", b"x", timeout=10)
    assert caught.value.code is Code.UNIMPLEMENTED


async def test_deadline_and_metadata_reach_the_handler() -> None:
    async with pair() as (echo, _, channel):
        await channel.unary("/test.Echo/Echo", b"", timeout=7, metadata={"thanos-tenant": "a"})
        assert echo.remaining is not None and 5 < echo.remaining <= 7
        assert echo.metadata["thanos-tenant"] == "a"


@pytest.mark.parametrize(
    ("method", "code", "says"),
    [
        ("/test.Echo/Fail", Code.FAILED_PRECONDITION, "not today: 100 % ä"),
        ("/test.Echo/Nothing", Code.UNIMPLEMENTED, "unknown method"),
        ("/nobody.Knows/It", Code.UNIMPLEMENTED, "unknown method"),
    ],
)
async def test_failures_keep_code_and_text(method: str, code: Code, says: str) -> None:
    async with pair() as (_, _, channel):
        with pytest.raises(CallError) as caught:
            await channel.unary(method, b"", timeout=5)
        assert caught.value.code is code
        assert says in caught.value.message
        assert caught.value.message.startswith("127.0.0.1:")


async def test_a_crash_is_internal_and_tells_the_client_nothing() -> None:
    async with pair() as (_, _, channel):
        with pytest.raises(CallError) as caught:
            await channel.unary("/test.Echo/Crash", b"", timeout=5)
        assert caught.value.code is Code.INTERNAL
        assert "secret" not in caught.value.message
        assert await channel.unary("/test.Echo/Echo", b"on", timeout=5) == b"on"


async def test_a_request_over_the_limit_is_refused_and_the_connection_goes_on() -> None:
    async with pair(max_message_size=1000) as (_, _, channel):
        with pytest.raises(CallError) as caught:
            await channel.unary("/test.Echo/Echo", b"x" * 1001, timeout=5)
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
        assert await channel.unary("/test.Echo/Echo", b"x" * 1000, timeout=5) == b"x" * 1000
        assert channel.status().handshakes == 1


async def test_a_deadline_ends_both_sides() -> None:
    async with pair() as (echo, _, channel):
        with pytest.raises(CallError) as caught, anyio.fail_after(5):
            await channel.unary("/test.Echo/Wait", b"", timeout=0.2)
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        with anyio.fail_after(5):
            await echo.cancelled.wait()


async def test_a_cancelled_call_cancels_its_handler_and_leaves_nothing() -> None:
    async with pair() as (echo, listener, channel):
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                await channel.unary("/test.Echo/Wait", b"", timeout=None)

            tasks.start_soon(ask)
            with anyio.fail_after(5):
                await echo.begun.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await echo.cancelled.wait()
        assert await channel.unary("/test.Echo/Echo", b"on", timeout=5) == b"on"
        assert [each.streams for each in listener.connections()] == [0]


async def test_a_drain_lets_calls_end_and_sends_new_ones_away() -> None:
    async with pair() as (echo, listener, channel):
        answers: list[bytes] = []

        async def ask() -> None:
            answers.append(await channel.unary("/test.Echo/Wait", b"", timeout=10))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            with anyio.fail_after(5):
                await echo.begun.wait()
            async with anyio.create_task_group() as draining:
                draining.start_soon(listener.drain, 10.0)
                with pytest.raises(CallError) as caught:
                    while True:
                        await channel.unary("/test.Echo/Echo", b"", timeout=2)
                assert caught.value.code is Code.UNAVAILABLE
                echo.release.set()
        assert answers == [b"waited"]
        assert listener.connections() == []


async def test_connections_that_age_out_lose_no_call() -> None:
    async with pair(max_connection_age=0.1) as (_, _, channel):
        with anyio.fail_after(20):
            while channel.status().handshakes < 6:
                assert await channel.unary("/test.Echo/Echo", b"x", timeout=5) == b"x"
        assert channel.status().failures == 0


def _shown(channel: Channel) -> str:
    """The serial number of what the channel shows on its connection."""
    tls = channel.status().tls
    return tls.local.serial if tls and tls.local else ""


@asynccontextmanager
async def secured(tmp_path: Path) -> AsyncIterator[tuple[CA, CertificateCache, Provider, Provider]]:
    """A CA, and providers of a server and a client whose files are in ``server`` and ``client``."""
    authority = CA("test CA")
    async with anyio.create_task_group() as tasks:
        cache = CertificateCache(metrics=TlsMetrics(CollectorRegistry()))
        await tasks.start(cache.run)
        made = []
        for role in (Role.SERVER, Role.CLIENT):
            directory = tmp_path / role.value
            directory.mkdir()
            cert, key = authority.issue().write(directory)
            replace(directory / "ca.crt", authority.pem)
            files = TlsFiles(cert_file=str(cert), key_file=str(key), ca_file=str(directory / "ca.crt"))
            made.append(cache.provider(role.value, role, files, TlsPolicy()))
        yield authority, cache, made[0], made[1]
        tasks.cancel_scope.cancel()


async def test_a_renewed_identity_replaces_the_connection_before_it_breaks(tmp_path: Path) -> None:
    async with (
        secured(tmp_path) as (authority, _, server, client),
        listening(Echo(), server, drain_window=0.2) as (listener, _),
        calling(listener.ports[0], client) as channel,
    ):
        await channel.unary("/test.Echo/Echo", b"x", timeout=5)
        renewed = authority.issue()
        renewed.write(tmp_path / "client")
        with anyio.fail_after(10):
            while (
                (tls := channel.status().tls) is None
                or tls.local is None
                or tls.local.serial != renewed.serial
            ):
                assert await channel.unary("/test.Echo/Echo", b"x", timeout=5) == b"x"
        assert channel.status().failures == 0


async def test_a_removed_ca_cuts_live_clients_and_refuses_new_ones(tmp_path: Path) -> None:
    echo = Echo()
    async with (
        secured(tmp_path) as (_, _, server, client),
        listening(echo, server) as (listener, _),
        calling(listener.ports[0], client) as channel,
    ):
        await channel.unary("/test.Echo/Echo", b"x", timeout=5)
        replace(tmp_path / "server" / "ca.crt", CA("another").pem)
        with anyio.fail_after(10):
            with pytest.raises(CallError) as caught:
                while True:
                    await channel.unary("/test.Echo/Echo", b"x", timeout=3)
        assert "we offered CN=leaf" in caught.value.message
        with anyio.fail_after(10):
            while listener.connections():
                await anyio.lowlevel.checkpoint()


async def test_reasons_of_refusals_are_in_the_error(tmp_path: Path) -> None:
    async with secured(tmp_path) as (_, _, server, client), listening(Echo(), server) as (listener, _):
        replace(tmp_path / "client" / "ca.crt", CA("nobody").pem)
        async with calling(listener.ports[0], client) as channel:
            with pytest.raises(CallError) as caught:
                await channel.unary("/test.Echo/Echo", b"x", timeout=5)
        assert "leads to CN=test CA, which is not trusted" in caught.value.message
        assert "trusted: CN=nobody" in caught.value.message
        async with calling(listener.ports[0]) as channel:
            with pytest.raises(CallError, match="does it speak TLS"):
                await channel.unary("/test.Echo/Echo", b"x", timeout=5)


async def test_a_silent_client_is_closed_and_holds_up_nobody(tmp_path: Path) -> None:
    limits = AcceptorLimits(handshake_timeout=0.3)
    async with (
        secured(tmp_path) as (_, _, server, client),
        listening(Echo(), server, limits=limits) as (listener, _),
    ):
        with socket.create_connection(("127.0.0.1", listener.ports[0])) as silent:
            silent.setblocking(False)
            async with calling(listener.ports[0], client) as channel:
                assert await channel.unary("/test.Echo/Echo", b"x", timeout=5) == b"x"
            with anyio.fail_after(5):
                await anyio.wait_readable(silent)
            assert silent.recv(100) == b""
