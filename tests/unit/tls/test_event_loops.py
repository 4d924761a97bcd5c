"""What the contexts promise holds on real sockets, under both event loops."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
import uvloop

from app.tls.contexts import handshake_objects, handshake_output
from app.tls.explain import explain_accept
from app.tls.model import Role
from app.tls.peer import agreed
from tests.pki import CA
from tests.unit.tls.test_explain import CLIENT, POLICY, SERVER, material

loops = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
NewLoop = Callable[[], asyncio.AbstractEventLoop]


def _run(new_loop: NewLoop, work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(work, 20))


def _client(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> ssl.SSLSession | None:
    """A blocking client; the session that it could resume."""
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as tls,
    ):
        tls.sendall(b"?")
        tls.recv(1)
        assert not tls.session_reused
        return tls.session


def _stock(version: ssl.TLSVersion, directory: str) -> ssl.SSLContext:
    """A client that no one here wrote."""
    context = ssl.create_default_context(cafile=os.path.join(directory, "ca.crt"))
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(os.path.join(directory, "tls.crt"), os.path.join(directory, "tls.key"))
    return context


@loops
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_stock_client_never_resumes(
    new_loop: NewLoop, version: ssl.TLSVersion, tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = CA("ca")
    directory = tmp_path_factory.mktemp("pki")
    authority.issue().write(directory)
    (directory / "ca.crt").write_bytes(authority.pem)
    serving = material(Role.SERVER, authority.issue(), authority)
    resumed = []

    class Answer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            resumed.append(agreed(transport.get_extra_info("ssl_object")).resumed)
            cast(asyncio.WriteTransport, transport).write(b"!")

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Answer, "127.0.0.1", 0, ssl=serving.context)
        port = server.sockets[0].getsockname()[1]
        context = _stock(version, str(directory))
        session = None
        for _ in range(3):
            session = await asyncio.to_thread(_client, port, context, session)
        server.close()

    _run(new_loop, serve())
    assert resumed == [False, False, False]


@loops
def test_a_refused_client_can_be_told_and_explained(new_loop: NewLoop) -> None:
    """The objects and the last words of a handshake that failed are where the task can find them."""
    stranger = material(Role.CLIENT, CA("stranger").issue(), CA("ca"))
    stranger.context.check_hostname = False
    stranger.context.verify_mode = ssl.CERT_NONE

    def attempt(port: int) -> str:
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            try:
                with stranger.context.wrap_socket(plain, server_hostname="localhost") as tls:
                    tls.recv(1)
            except ssl.SSLError as error:
                return str(error.reason)
        return "accepted"

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            client = asyncio.create_task(asyncio.to_thread(attempt, listening.getsockname()[1]))
            sock, _ = await loop.sock_accept(listening)
            objects: list[ssl.SSLObject] = []
            outputs: list[ssl.MemoryBIO] = []
            handshake_objects.set(objects)
            handshake_output.set(outputs)
            kept = os.dup(sock.fileno())
            try:
                with pytest.raises(ssl.SSLError) as caught:
                    await loop.connect_accepted_socket(asyncio.Protocol, sock, ssl=SERVER.context)
                os.write(kept, outputs[0].read())
            finally:
                os.close(kept)
            found = explain_accept(caught.value, policy=POLICY, material=SERVER, objects=objects)
            assert found.reason == "unknown_ca" and "trusted: CN=ca 1" in found.message
            assert "UNKNOWN_CA" in await client

    _run(new_loop, serve())


@loops
def test_many_handshakes_at_once(new_loop: NewLoop) -> None:
    """Each on a first context of its own, under TLS 1.2 as well."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=SERVER.context)
        port = server.sockets[0].getsockname()[1]
        transports = await asyncio.gather(
            *(
                loop.create_connection(
                    asyncio.Protocol, "127.0.0.1", port, ssl=CLIENT.context, server_hostname="localhost"
                )
                for _ in range(30)
            )
        )
        for transport, _ in transports:
            transport.close()
        server.close()
        await asyncio.sleep(0)

    began = time.monotonic()
    _run(new_loop, serve())
    assert time.monotonic() - began < 10
