"""A channel: one endpoint, reached over one connection at a time, replaced without losing a call.

How a connection is replaced. Something makes it necessary: the endpoint says GOAWAY, our material was
renewed, the endpoint's certificate is about to end, or it is no longer trusted. The channel then makes a
new connection while the old one serves (make before break), lets new calls go to the new one, and closes
the old one when its last stream has ended. A call whose stream the endpoint never processed is made again.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import msgspec
import structlog

from app.errors import CallError, Code, FailureKind
from app.rpc.backoff import Backoff
from app.rpc.calls import CallSpec, ResponseStream
from app.rpc.client_protocol import STREAM_WINDOW, ClientProtocol
from app.rpc.connecting import ConnectFailure, Connection, connect, offered
from app.rpc.metrics import ClientMetrics
from app.rpc.model import SERVER_STREAM, UNARY, ChannelStatus, Metadata
from app.tls.model import Change, Material
from app.tls.provider import Provider

DEFAULT_WINDOW = 16 * 1024 * 1024
CUT_AFTER = 5.0
"""Seconds that calls on a connection to an endpoint that is no longer trusted have to end."""
EXPIRY_MARGIN = 30.0
"""Seconds before its peer's certificate ends at which a connection is replaced."""
BRIEF = 0.25
"""Seconds. A connection that ends sooner, and without one answer, counts as a failure to connect: an endpoint
that closes each at once would have us shake hands without pause."""
IDENTITY_RETRY = 30.0
"""Seconds between two attempts with a new identity that an endpoint refuses while the last good serves."""

log = structlog.get_logger()


class ChannelOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds, sizes in bytes.

    :param compression: of requests, and so of what the endpoint answers: snappy; "" is none.
    """

    connect_timeout: float = 10.0
    handshake_timeout: float = 10.0
    max_message_size: int = 2**31 - 1
    drain_window: float = 60.0
    compression: str = ""


class Channel:
    """Mutable: the serving connection and those that drain, changed by the channel's own task and by the
    callbacks of its connections.

    :param address: ``host:port``, as the operator wrote it.
    :param tls: None is plaintext.
    :param server_name: sets SNI, the name that is verified and ``:authority``; empty: the host as written.
    """

    def __init__(
        self,
        address: str,
        *,
        group: str,
        tls: Provider | None,
        metrics: ClientMetrics,
        server_name: str = "",
        options: ChannelOptions | None = None,
    ) -> None:
        self.address = address
        self.group = group
        self._tls = tls
        self._server_name = server_name
        self._options = options or ChannelOptions()
        self._metrics = metrics
        self._serving: Connection | None = None
        self._open: set[Connection] = set()
        self._timers: dict[Connection, list[asyncio.TimerHandle]] = {}
        self._wanted = anyio.Event()
        self._hurry = anyio.Event()
        self._outcome = anyio.Event()
        self._connecting = False
        self._closing = False
        self._empty = anyio.Event()
        self._backoff = Backoff()
        self._last_error: ConnectFailure | None = None
        self._identity_refused = ""
        self._accepted = ""
        self._brief_in_a_row = 0
        self._replace_reason: str | None = None
        self._handshakes = self._calls = self._failures = 0

    # -- owned by the group's task

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Make and replace connections until cancelled or closed."""
        unsubscribe = self._tls.subscribe(self._material_changed) if self._tls else None
        try:
            task_status.started()
            while not self._closing:
                await self._wanted.wait()
                self._wanted = anyio.Event()
                while self._needs_connection():
                    await self._wait_for_backoff()
                    if self._needs_connection():
                        await self._make_connection()
        finally:
            if unsubscribe is not None:
                unsubscribe()
            self._closing = True
            for connection in list(self._open):
                connection.protocol.cut("the channel was closed")
            self._announce()

    async def aclose(self, grace: float) -> None:
        """Take no new calls, let those open end within `grace` seconds, then close. `run` returns."""
        self._closing = True
        self._wanted.set()
        self._hurry.set()
        self._announce()
        for connection in list(self._open):
            connection.protocol.drain("the channel was closed")
        with anyio.move_on_after(grace):
            while self._open:
                self._empty = anyio.Event()
                await self._empty.wait()
        for connection in list(self._open):
            connection.protocol.cut("the channel was closed")

    def status(self) -> ChannelStatus:
        """For the status page."""
        serving = self._serving
        return ChannelStatus(
            address=self.address,
            connected_at=serving.made_at if serving else None,
            tls=serving.tls if serving else None,
            handshakes=self._handshakes,
            calls=self._calls,
            failures=self._failures,
            last_error=self._last_error.message if self._last_error and not serving else "",
            identity_refused=self._identity_refused,
        )

    def rename(self, group: str) -> None:
        """Count for another group from now on."""
        for connection in self._open:
            state = "draining" if connection.protocol.draining else "serving"
            self._metrics.connections.labels(self.group, state).dec()
            self._metrics.connections.labels(group, state).inc()
        self.group = group

    # -- calls

    async def unary(
        self, method: str, request: bytes, *, timeout: float | None, metadata: Metadata | None = None
    ) -> bytes:
        """One message for one message.

        :param method: ``/package.Service/Method``.
        :param timeout: seconds for all of it, also told to the endpoint; None: no limit.
        :raises CallError: naming the address and the reason.
        """
        async with self._call(UNARY, method, request, timeout, metadata, STREAM_WINDOW) as stream:
            return await stream.only_message()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        request: bytes,
        *,
        timeout: float | None,
        metadata: Metadata | None = None,
        window: int = DEFAULT_WINDOW,
    ) -> AsyncIterator[ResponseStream]:
        """Many messages for one. Leaving early cancels the call at once.

        :param window: bytes that the endpoint may send ahead of the reader.
        :raises CallError: on entering, when the call cannot be made; from the stream later on.
        """
        async with self._call(SERVER_STREAM, method, request, timeout, metadata, window) as stream:
            yield stream

    @asynccontextmanager
    async def _call(
        self,
        kind: str,
        method: str,
        request: bytes,
        timeout: float | None,
        metadata: Metadata | None,
        window: int,
    ) -> AsyncIterator[ResponseStream]:
        spec = CallSpec(
            method,
            request,
            metadata=metadata or {},
            timeout=timeout,
            window=window,
            authority=self._server_name or self.address,
            secure=self._tls is not None,
            compression=self._options.compression,
            max_message_size=self._options.max_message_size,
        )
        stream = ResponseStream(self, spec)
        self._calls += 1
        service, _, name = method.lstrip("/").partition("/")
        counted = self._metrics.method(kind, service, name)
        counted.started.inc()
        begun = time.monotonic()
        code = Code.CANCELLED
        try:
            # One scope around all of the call: one for each wait in it is dear where answers are small.
            with anyio.CancelScope() as time_limit:
                if timeout is not None:
                    time_limit.deadline = anyio.current_time() + timeout
                await stream.open()
                yield stream
            if time_limit.cancelled_caught:
                raise stream.late()
            code = Code.OK
        except CallError as error:
            self._failures += 1
            code = error.code
            raise
        finally:
            stream.close()
            self._metrics.calls.labels(self.group, code.name).inc()
            counted.sent.inc()
            counted.received.inc(stream.messages)
            counted.handled(code).inc()
            counted.handling.observe(time.monotonic() - begun)

    async def connection(self) -> Connection:
        """One that takes new streams, as soon as there is one.

        While the channel waits before its next attempt, this fails at once with the reason of the last.

        :raises ConnectFailure: none can be made now.
        """
        while True:
            if self._serving is not None and self._serving.protocol.takes_streams:
                return self._serving
            if self._closing:
                raise ConnectFailure("the channel is closed", FailureKind.CLOSED, "closed")
            if self._last_error is not None and not self._connecting and time.monotonic() < self._backoff.due:
                self._wanted.set()
                raise self._last_error
            self._wanted.set()
            await self._outcome.wait()

    def last_failure(self) -> ConnectFailure | None:
        return self._last_error

    def retried(self) -> None:
        self._metrics.retries.labels(self.group).inc()

    # -- making connections

    def _needs_connection(self) -> bool:
        if self._closing:
            return False
        serving = self._serving
        return serving is None or not serving.protocol.takes_streams or self._replace_reason is not None

    async def _wait_for_backoff(self) -> None:
        while (wait := self._backoff.due - time.monotonic()) > 0 and not self._closing:
            self._hurry = anyio.Event()
            with anyio.move_on_after(wait):
                await self._hurry.wait()

    async def _make_connection(self) -> None:
        self._connecting = True
        try:
            connection = await self._connect_with_last_good()
        except ConnectFailure as failure:
            self._backoff.failed(time.monotonic())
            self._failed(failure)
        else:
            self._install(connection)
        finally:
            self._connecting = False
            self._announce()

    async def _connect_with_last_good(self) -> Connection:
        """With the identity in force; where the endpoint refuses that, with the one before."""
        try:
            connection = await self._connect(None)
        except ConnectFailure as failure:
            fallback = self._tls.fallback(accepted=self._accepted) if self._tls else None
            if not failure.refused_identity or fallback is None:
                raise
            connection = await self._connect(fallback)
            if not self._identity_refused:
                log.warning(
                    "the endpoint refuses our new identity; going on with the last good one",
                    group=self.group,
                    endpoint=self.address,
                    reason=failure.reason,
                    err=failure.message,
                    serving=offered(fallback),
                )
            self._identity_refused = failure.message
            return connection
        self._identity_refused = ""
        return connection

    async def _connect(self, material: Material | None) -> Connection:
        options = self._options
        try:
            connection = await connect(
                self.address,
                tls=self._tls,
                server_name=self._server_name,
                material=material,
                connect_timeout=options.connect_timeout,
                handshake_timeout=options.handshake_timeout,
                protocol=self._protocol,
            )
        except ConnectFailure as failure:
            self._metrics.handshakes.labels(self.group, "failed", failure.reason).inc()
            raise
        self._handshakes += 1
        self._metrics.handshakes.labels(self.group, "ok", "").inc()
        return connection

    def _protocol(self) -> ClientProtocol:
        return ClientProtocol(max_message_size=self._options.max_message_size)

    def _failed(self, failure: ConnectFailure) -> None:
        if self._last_error is None or self._last_error.message != failure.message:
            log.warning(
                "connection failed",
                group=self.group,
                endpoint=self.address,
                reason=failure.reason,
                err=failure.message,
            )
        self._last_error = failure

    def _install(self, connection: Connection) -> None:
        if self._closing:
            connection.protocol.cut("the channel was closed")
            return
        old, self._serving = self._serving, connection
        self._last_error = None
        self._replace_reason = None
        self._open.add(connection)
        self._metrics.connections.labels(self.group, "serving").inc()
        connection.protocol.watch(
            on_going_away=lambda reason: self._going_away(connection, reason),
            on_closed=lambda: self._closed(connection),
        )
        self._schedule(connection)
        if self._tls is not None and connection.material is not None:
            self._accepted = connection.material.identity_digest
            self._recheck(connection)
        if old is not None:
            old.protocol.drain("replaced")

    def _schedule(self, connection: Connection) -> None:
        if self._identity_refused:
            self._later(connection, IDENTITY_RETRY, lambda: self._replace(connection, "identity"))
        verified = self._tls is not None and self._tls.policy.verify_peer
        if verified and connection.tls is not None and connection.tls.certificate is not None:
            left = connection.tls.certificate.not_after - time.time()
            # An endpoint may show the same certificate again, to its end: not one handshake after the other.
            soon = max(left - EXPIRY_MARGIN, left / 2, 1.0)
            self._later(connection, soon, lambda: self._replace(connection, "peer_expiry"))
            self._later(connection, max(0.0, left), lambda: connection.protocol.cut("its certificate ended"))

    # -- what happens to connections

    def _going_away(self, connection: Connection, reason: str) -> None:
        self._metrics.connections.labels(self.group, "serving").dec()
        self._metrics.connections.labels(self.group, "draining").inc()
        if connection is self._serving:
            self._serving = None
            self._take_stock(connection, reason)
            cause = "goaway" if connection.protocol.close_reason is None else "lost"
            self._metrics.recycles.labels(self.group, cause).inc()
            log.debug("replacing the connection", group=self.group, endpoint=self.address, reason=reason)
            self._wanted.set()

    def _take_stock(self, connection: Connection, reason: str) -> None:
        """A connection is over: was it one at all?"""
        if connection.protocol.answered or time.time() - connection.made_at >= BRIEF:
            self._brief_in_a_row = 0
            self._backoff.succeeded()
            return
        self._brief_in_a_row += 1
        self._backoff.failed(time.monotonic())
        if self._brief_in_a_row > 1:
            self._failed(
                ConnectFailure(
                    f"the endpoint closes connections as soon as they are made: {reason}",
                    FailureKind.CONNECTION_LOST,
                    "closed",
                )
            )

    def _closed(self, connection: Connection) -> None:
        self._open.discard(connection)
        for timer in self._timers.pop(connection, ()):
            timer.cancel()
        self._metrics.connections.labels(self.group, "draining").dec()
        self._metrics.age.labels(self.group).observe(max(0.0, time.time() - connection.made_at))
        if not self._open:
            self._empty.set()

    def _replace(self, connection: Connection, reason: str) -> None:
        """Make a new connection while this one serves, if it still does."""
        if connection is self._serving and self._replace_reason is None and not self._closing:
            self._replace_reason = reason
            self._metrics.recycles.labels(self.group, reason).inc()
            self._wanted.set()

    def _material_changed(self, change: Change) -> None:
        if change.trust_shrunk:
            for connection in list(self._open):
                self._recheck(connection)
        if change.new is change.old:
            return  # a date closed trust: no handshake would go better than before
        serving = self._serving
        renewed = change.identity_changed or change.trust_changed
        if renewed and serving is not None and serving.protocol.takes_streams:
            # Spread over the window, so that a thousand channels do not shake hands at once.
            delay = random.uniform(0, self._options.drain_window)
            self._later(serving, delay, lambda: self._replace(serving, "renewed"))
        # What failed with the old material may work with the new, now.
        self._backoff.succeeded()
        self._hurry.set()

    def _recheck(self, connection: Connection) -> None:
        """Cut a connection whose peer the trust in force does not accept."""
        assert self._tls is not None
        reason = self._tls.judge(connection.chain)
        if reason is None:
            return
        log.warning(
            "the endpoint is not trusted any more", group=self.group, endpoint=self.address, reason=reason
        )
        self._metrics.recycles.labels(self.group, "untrusted").inc()
        message = f"the endpoint is not trusted any more: {reason}"
        self._later(connection, CUT_AFTER, lambda: connection.protocol.cut(message))
        connection.protocol.drain(message)

    def _later(self, connection: Connection, delay: float, action: Callable[[], None]) -> None:
        """Do something to a connection after `delay` seconds, unless it is closed by then."""
        if connection not in self._open:
            return
        timer = asyncio.get_running_loop().call_later(delay, action)
        self._timers.setdefault(connection, []).append(timer)

    def _announce(self) -> None:
        """Wake the calls that wait for an outcome."""
        self._outcome.set()
        self._outcome = anyio.Event()
