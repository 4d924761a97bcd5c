"""The gRPC listener: connections accepted, judged, served, drained and cut."""

import random
import socket
import time
from collections.abc import Sequence

import anyio
import anyio.abc
import msgspec
import structlog

from app.rpc.acceptor import Acceptor, AcceptorLimits
from app.rpc.lifetime import Lifetime
from app.rpc.model import Peer, PeerTls, Service
from app.rpc.reaper import Reaper
from app.rpc.server_call import serve_call
from app.rpc.server_metrics import ServerMetrics
from app.rpc.server_protocol import ServerProtocol, ServerStream
from app.tls.certificates import describe, pinned
from app.tls.model import Change
from app.tls.peer import agreed
from app.tls.provider import Provider

AGE_JITTER = 0.1

log = structlog.get_logger()


class ListenerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds, sizes in bytes.

    :param max_connection_age: 0 is no limit.
    :param max_connection_age_grace: None waits for the streams.
    :param drain_window: over which connections made with renewed material are drained.
    :param max_streams: calls at once on one connection.
    """

    max_connection_age: float = 0.0
    max_connection_age_grace: float | None = None
    drain_window: float = 60.0
    max_message_size: int = 4 * 1024 * 1024
    max_streams: int = 1000
    limits: AcceptorLimits = AcceptorLimits()


class ConnectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One client's connection at one moment. `age` in seconds."""

    peer: Peer
    age: float
    streams: int
    phase: str


class Listener:
    """Mutable: the open connections, changed by their callbacks.

    :param sockets: listening; owned by the listener from now on.
    :param tls: None is plaintext.
    :param name: for metrics and logs.
    """

    def __init__(
        self,
        services: Sequence[Service],
        sockets: Sequence[socket.socket],
        *,
        tls: Provider | None,
        options: ListenerOptions,
        metrics: ServerMetrics,
        name: str = "grpc",
    ) -> None:
        self._handlers = {
            f"/{service.name}/{method}": handler
            for service in services
            for method, handler in service.methods.items()
        }
        self._kinds = {
            f"/{service.name}/{method}": kind
            for service in services
            for method, kind in service.streaming.items()
        }
        metrics.known(services)
        self._tls = tls
        self._options = options
        self._metrics = metrics
        self._name = name
        self._connections: set[ServerProtocol] = set()
        self._reaper = Reaper()
        self._acceptor = Acceptor(
            sockets,
            tls=tls,
            protocol_factory=lambda material: ServerProtocol(self, material),
            open_connections=lambda: len(self._connections),
            limits=options.limits,
            metrics=metrics,
            name=name,
        )
        self._calls: anyio.abc.TaskGroup | None = None
        self._draining = False
        self._empty = anyio.Event()
        self._stopped = anyio.Event()

    @property
    def max_message_size(self) -> int:
        return self._options.max_message_size

    @property
    def max_streams(self) -> int:
        return self._options.max_streams

    @property
    def ports(self) -> list[int]:
        """One for each socket."""
        return self._acceptor.ports

    # -- owned by the lifecycle

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until `drain` is over or the task is cancelled."""
        unsubscribe = self._tls.subscribe(self._material_changed) if self._tls else None
        try:
            async with anyio.create_task_group() as tasks:
                self._calls = tasks
                tasks.start_soon(self._reaper.run)
                tasks.start_soon(self._acceptor.run)
                task_status.started()
                await self._stopped.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._calls = None
            if unsubscribe is not None:
                unsubscribe()
            self._acceptor.stop_accepting()
            for connection in list(self._connections):
                connection.cut("the listener was closed")

    async def drain(self, grace: float) -> int:
        """Take no new connections and calls, let those in flight end within `grace` seconds, then close.

        :returns: how many calls were cut.
        """
        self._draining = True
        self._acceptor.stop_accepting()
        for connection in list(self._connections):
            connection.drain("shutdown", grace)
        with anyio.move_on_after(grace + 1):
            while self._connections:
                self._empty = anyio.Event()
                await self._empty.wait()
        cut = sum(len(connection.processor.streams) for connection in self._connections)
        self._stopped.set()
        return cut

    def connections(self) -> list[ConnectionStatus]:
        now = time.monotonic()
        return [
            ConnectionStatus(
                peer=each.peer,
                age=now - each.made_at,
                streams=len(each.processor.streams),
                phase=str(each.lifetime.phase),
            )
            for each in self._connections
        ]

    # -- told by connections

    def admitted(self, connection: ServerProtocol) -> bool:
        """A connection is there, TLS and all; False when its peer is not let in."""
        now = time.monotonic()
        address = connection.transport.get_extra_info("peername")
        name = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address or "unix")
        reason = self._identify(connection, name)
        certificate = connection.peer.tls.certificate if connection.peer.tls else None
        expires = None if certificate is None else now + certificate.not_after - time.time()
        age = self._options.max_connection_age
        connection.lifetime = Lifetime(
            now,
            max_age=age * random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER) if age else None,
            grace=self._options.max_connection_age_grace,
            expires=expires,
        )
        if self._draining:
            reason = reason or ("shutdown", "the listener is closing")
        if reason is not None:
            self._metrics.handshakes.labels(self._name, "failed", reason[0]).inc()
            log.info("connection refused", listener=self._name, peer=name, reason=reason[0], err=reason[1])
            return False
        self._connections.add(connection)
        self._metrics.connections.labels(self._name).inc()
        self._reaper.watch(connection)
        return True

    def _identify(self, connection: ServerProtocol, address: str) -> tuple[str, str] | None:
        """Set the peer; why it is not let in, as a slug and a sentence."""
        connection.peer = Peer(address=address, tls=None)
        material = connection.material
        if self._tls is None or material is None:
            return None
        outcome = agreed(connection.transport.get_extra_info("ssl_object"))
        connection.chain = outcome.chain
        connection.peer = Peer(
            address=address,
            tls=PeerTls(
                version=outcome.version,
                cipher=outcome.cipher,
                certificate=outcome.certificate,
                local=material.identity,
                generation=material.generation,
            ),
        )
        if outcome.resumed:
            return "resumed", "the client resumed a session, which skips the checks of a handshake"
        if outcome.alpn not in ("", "h2"):
            return "alpn", f"the client chose {outcome.alpn} instead of HTTP/2"
        pins = self._tls.policy.peer_identities
        if pins and (outcome.certificate is None or not pinned(outcome.certificate, pins)):
            shown = describe(outcome.certificate) if outcome.certificate else "no certificate"
            return "identity", f"none of the allowed identities is in {shown}"
        # A client can delay its part of the handshake for as long as the time limit, and keep a trust alive
        # that has been withdrawn meanwhile.
        reason = self._tls.admit(material, outcome.chain)
        return None if reason is None else ("untrusted", reason)

    def request(self, stream: ServerStream, headers: Sequence[tuple[str, str]]) -> None:
        """A call has come in."""
        if self._calls is None:
            stream.release()
            return
        self._calls.start_soon(self._serve, stream, headers)

    async def _serve(self, stream: ServerStream, headers: Sequence[tuple[str, str]]) -> None:
        gauge = self._metrics.streams.labels(self._name)
        gauge.inc()
        try:
            await serve_call(stream, headers, self._handlers, self._kinds, self._metrics)
        except Exception:
            # One call's surprise must not end the listener, and all other calls with it.
            log.exception("serving a call failed", listener=self._name)
        finally:
            gauge.dec()

    def rescheduled(self, connection: ServerProtocol) -> None:
        self._reaper.watch(connection)

    def gone(self, connection: ServerProtocol) -> None:
        self._reaper.forget(connection)
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        self._metrics.connections.labels(self._name).dec()
        self._metrics.age.labels(self._name).observe(time.monotonic() - connection.made_at)
        lifetime = connection.lifetime
        if lifetime.reason:
            forced = "true" if lifetime.forced else "false"
            self._metrics.recycles.labels(self._name, lifetime.reason, forced).inc()
        if not self._connections:
            self._empty.set()

    # -- told by the certificate cache

    def _material_changed(self, change: Change) -> None:
        now = time.monotonic()
        for connection in list(self._connections):
            if change.trust_shrunk and self._tls is not None:
                reason = self._tls.judge(connection.chain) if self._tls.policy.verify_peer else None
                if reason is not None:
                    log.warning(
                        "a client is not trusted any more",
                        listener=self._name,
                        peer=connection.peer.address,
                        reason=reason,
                    )
                    connection.distrust()
                    continue
            if not (change.identity_changed or change.trust_changed):
                continue
            # Spread over the window: all clients at once would be a storm of handshakes.
            connection.lifetime.drain_by(now + random.uniform(0, self._options.drain_window), "renewed")
            self._reaper.watch(connection)
