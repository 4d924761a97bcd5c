"""uvicorn under our task group: our sockets, our TLS, our signals."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, cast

import anyio
import anyio.abc
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.rpc.acceptor import Acceptor, AcceptorLimits
from app.rpc.corked import CorkedTransport
from app.rpc.server_metrics import ServerMetrics
from app.tls.provider import Provider
from app.web.departure import Departure

KEEP_ALIVE = 75
"""Seconds. Longer than the scrape interval of most Prometheus servers."""


class _Uvicorn(uvicorn.Server):
    """uvicorn's loop and shutdown without its sockets and its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the lifecycle has them

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.servers = []  # what uvicorn would close; ours are the acceptor's
        self.started = True

    def protocol(self) -> anyio.abc.SocketStream:
        return self.config.http_protocol_class(  # type: ignore[return-value,call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class _Protocol(HttpToolsProtocol):
    """A connection. Requests are told the client's certificate, as the TLS extension of ASGI has it, and when
    the client goes away."""

    _chain: tuple[str, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._departure = Departure()
        super().connection_made(CorkedTransport(transport))
        encrypted = transport.get_extra_info("ssl_object")
        certificate = encrypted.getpeercert(binary_form=True) if encrypted is not None else None
        if certificate:
            self._chain = (ssl.DER_cert_to_PEM_cert(certificate),)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._chain:
            self.scope["extensions"] = {"tls": {"client_cert_chain": self._chain}}
        self._departure.offer(cast("dict[str, Any]", self.scope))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._departure.happen()


class HttpServer:
    """Mutable: uvicorn's connections; stopped by `drain`.

    :param sockets: listening; owned by the server from now on.
    :param tls: None is plain HTTP.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: Sequence[socket.socket],
        *,
        tls: Provider | None,
        metrics: ServerMetrics,
        limits: AcceptorLimits | None = None,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=1,
        )
        self._config = config
        self._stopped = anyio.Event()
        self._uvicorn = _Uvicorn(config)
        self._acceptor = Acceptor(
            sockets,
            tls=tls,
            protocol_factory=lambda _: self._uvicorn.protocol(),  # type: ignore[arg-type,return-value]
            open_connections=lambda: len(self._uvicorn.server_state.connections),
            limits=limits or AcceptorLimits(max_connections=1000, max_handshakes=64),
            metrics=metrics,
            name="http",
        )

    @property
    def ports(self) -> list[int]:
        return self._acceptor.ports

    def replace_tls(self, tls: Provider | None) -> None:
        """For connections from now on; None is plain HTTP."""
        self._acceptor.replace_tls(tls)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until `drain` is over or the task is cancelled."""
        self._config.load()
        self._uvicorn.lifespan = self._config.lifespan_class(self._config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._acceptor.run)
            tasks.start_soon(self._serve)
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                self._acceptor.stop_accepting()
                self._uvicorn.should_exit = True

    async def _serve(self) -> None:
        try:
            await self._uvicorn.serve()
        finally:
            self._stopped.set()

    async def drain(self, grace: float) -> None:
        """Take no new connections, let requests in flight end within `grace` seconds."""
        self._acceptor.stop_accepting()
        self._config.timeout_graceful_shutdown = max(1, int(grace))
        self._uvicorn.should_exit = True
        with anyio.move_on_after(grace):
            await self._stopped.wait()
