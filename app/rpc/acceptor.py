"""Accepting connections and their TLS handshakes, for gRPC and HTTP alike.

The event loop's own servers start TLS with a context that they were given once. Here the sockets are
accepted first, then the certificate files are looked at, and then TLS starts (rule 1); and the number of
connections and of handshakes in progress is bounded.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Sequence

import anyio
import anyio.abc
import msgspec
import structlog

from app.config.addresses import split_address
from app.errors import MaterialError
from app.rpc.server_metrics import ServerMetrics
from app.tls.contexts import handshake_objects, handshake_output
from app.tls.explain import explain_accept
from app.tls.model import Material
from app.tls.provider import Provider

ACCEPT_PAUSE = 0.1
"""Seconds without accepting after the process ran out of descriptors."""
BACKLOG = 1024
SHUTDOWN_LIMIT = 2.0
"""Seconds that a client has to answer the end of TLS. The default of half a minute would keep a connection
that is closed already."""

log = structlog.get_logger()

ProtocolFactory = Callable[[Material | None], asyncio.Protocol]


class AcceptorLimits(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param max_connections: beyond it connections are closed as they come.
    :param max_handshakes: in progress at once; beyond it connections wait in the backlog.
    :param handshake_timeout: seconds.
    """

    max_connections: int = 10_000
    max_handshakes: int = 256
    handshake_timeout: float = 5.0


def bind(address: str) -> list[socket.socket]:
    """Listening sockets of ``host:port``; an empty host is all interfaces, v6 and v4.

    :raises OSError: the address is taken or not ours.
    """
    host, port = split_address(address, listening=True)
    made: list[socket.socket] = []
    try:
        if not host and socket.has_dualstack_ipv6():
            made.append(
                socket.create_server(("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
            )
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            made.append(socket.create_server((host, port), family=family, backlog=BACKLOG))
    except BaseException:
        for sock in made:
            sock.close()
        raise
    for sock in made:
        sock.setblocking(False)
    return made


class Acceptor:
    """Mutable: the listening sockets, closed by `stop_accepting`; the provider, changed by `replace_tls`; the
    handshakes in progress.

    :param sockets: listening; owned by the acceptor from now on.
    :param tls: None is plaintext.
    :param protocol_factory: given the material that the handshake used.
    :param open_connections: how many there are.
    :param name: of the listener, for metrics and logs.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        tls: Provider | None,
        protocol_factory: ProtocolFactory,
        open_connections: Callable[[], int],
        limits: AcceptorLimits,
        metrics: ServerMetrics,
        name: str,
    ) -> None:
        self._sockets = list(sockets)
        self._tls = tls
        self._protocol_factory = protocol_factory
        self._open_connections = open_connections
        self._limits = limits
        self._metrics = metrics
        self._name = name
        self._handshakes = anyio.Semaphore(limits.max_handshakes)
        self._accepting = anyio.CancelScope()

    @property
    def ports(self) -> list[int]:
        return [sock.getsockname()[1] for sock in self._sockets]

    def replace_tls(self, tls: Provider | None) -> None:
        """For handshakes from now on; None is plaintext."""
        self._tls = tls

    async def run(self) -> None:
        """Accept until `stop_accepting`; returns when the handshakes in progress are over."""
        async with anyio.create_task_group() as tasks:
            with self._accepting:
                async with anyio.create_task_group() as accepting:
                    for sock in self._sockets:
                        accepting.start_soon(self._accept, sock, tasks)
            self._close()

    def stop_accepting(self) -> None:
        """Close the sockets; connections that are there go on."""
        self._accepting.cancel()
        self._close()

    def _close(self) -> None:
        for sock in self._sockets:
            sock.close()

    async def _accept(self, listening: socket.socket, tasks: anyio.abc.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        trouble = ""
        while True:
            await self._handshakes.acquire()
            try:
                sock, peer = await loop.sock_accept(listening)
            except BaseException as error:
                self._handshakes.release()
                if not isinstance(error, OSError):
                    raise
                if str(error) != trouble:  # once, not ten times a second
                    log.warning("cannot accept connections", listener=self._name, err=str(error))
                trouble = str(error)
                await anyio.sleep(ACCEPT_PAUSE)
                continue
            trouble = ""
            if self._open_connections() >= self._limits.max_connections:
                self._handshakes.release()
                self._failed("limit", f"{self._limits.max_connections} connections are open", peer)
                sock.close()
                continue
            tasks.start_soon(self._handshake, sock, peer)

    async def _handshake(self, sock: socket.socket, peer: object) -> None:
        try:
            if self._tls is None:
                await self._connect(sock, None)
            else:
                await self._connect_tls(sock, self._tls, peer)
        except (OSError, EOFError) as error:
            self._failed("connection_closed", str(error) or type(error).__name__, peer)
            sock.close()
        except BaseException:
            sock.close()
            raise
        finally:
            self._handshakes.release()

    async def _connect(self, sock: socket.socket, material: Material | None) -> None:
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
            lambda: self._protocol_factory(material),
            sock,
            ssl=material.context if material else None,
            ssl_handshake_timeout=self._limits.handshake_timeout if material else None,
            ssl_shutdown_timeout=SHUTDOWN_LIMIT if material else None,
        )
        if not transport.is_closing():  # or the protocol did not let the peer in, and has counted that
            self._metrics.handshakes.labels(self._name, "ok", "").inc()

    async def _connect_tls(self, sock: socket.socket, tls: Provider, peer: object) -> None:
        try:
            material = await tls.fresh()
        except MaterialError as error:
            self._failed(f"material_{error.reason}", str(error), peer)
            sock.close()
            return
        output: list[ssl.MemoryBIO] = []
        objects: list[ssl.SSLObject] = []
        tokens = handshake_output.set(output), handshake_objects.set(objects)
        # The event loop closes the socket of a failed handshake and keeps the alert that says why.
        alert_socket = os.dup(sock.fileno())
        try:
            with anyio.fail_after(self._limits.handshake_timeout + 1):
                await self._connect(sock, material)
        except ssl.SSLError as error:
            for out in output:
                with contextlib.suppress(OSError):
                    os.write(alert_socket, out.read())
            self._explain(error, tls, material, objects, peer)
        except (TimeoutError, ConnectionError) as error:
            self._explain(error, tls, material, objects, peer)
        finally:
            os.close(alert_socket)
            handshake_output.reset(tokens[0])
            handshake_objects.reset(tokens[1])

    def _explain(
        self,
        error: Exception,
        tls: Provider,
        material: Material,
        objects: Sequence[ssl.SSLObject],
        peer: object,
    ) -> None:
        found = explain_accept(error, policy=tls.policy, material=material, objects=objects)
        self._failed(found.reason, found.message, peer)

    def _failed(self, reason: str, message: str, peer: object) -> None:
        self._metrics.handshakes.labels(self._name, "failed", reason).inc()
        log.info("connection refused", listener=self._name, peer=_peer(peer), reason=reason, err=message)


def _peer(peer: object) -> str:
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) and len(peer) >= 2 else str(peer)
