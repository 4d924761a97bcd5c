"""The root task group of every server: start order, signals, and the order of the stop.

Start: certificates, HTTP, what the server is made of (a querier's endpoints), the gRPC listener. Stop, in the
other direction: not ready and NOT_SERVING, the gRPC listener drains, the endpoints close, HTTP last, so that
probes and metrics are there to the end.
"""

import gc
import math
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

import anyio
import anyio.abc
import msgspec
import structlog
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from app.config.model import ServerSettings
from app.errors import ConfigError, CrossrealmError, Problem, leaves
from app.reload import Reload
from app.rpc.acceptor import bind
from app.rpc.listener import Listener, ListenerOptions
from app.rpc.model import Service
from app.rpc.server_metrics import ServerMetrics
from app.sd_notify import Notifier
from app.telemetry import logs
from app.telemetry.loop_lag import LoopLag
from app.telemetry.registry import new_registry, show_status
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider
from app.tls.usable import unusable
from app.web.front import WebFront
from app.web.prefix import Prefixes
from app.web.reload import reload_route
from app.web.server import HttpServer
from app.web.site import make_site

EXIT_OK, EXIT_FAILED = 0, 1
SIGNAL = "SIGHUP"
GARBAGE = (10_000, 20, 100)
"""Objects made and kept until the collector looks for cycles among them, and how often older ones are spared.
What takes memory here goes without it; walking through all of a large query takes tenths of a second."""
LISTENER_GROUP = "listener"

log = structlog.get_logger()


class Environment(msgspec.Struct, frozen=True):
    """What every server is made with.

    :param certificates: running.
    """

    registry: CollectorRegistry
    certificates: CertificateCache


class Server(Protocol):
    """What is served: `crossrealm query` or `crossrealm sidecar`."""

    @property
    def component(self) -> str:
        """As Thanos names it."""

    @property
    def index(self) -> str:
        """The page that lists the paths."""

    @property
    def services(self) -> Sequence[Service]:
        """Of the gRPC listener."""

    @property
    def routes(self) -> Sequence[Route]:
        """Of HTTP, beside those that every server has."""

    def ready(self) -> tuple[bool, str]:
        """Whether it may be asked; if not, why."""

    async def check(self) -> list[Problem]:
        """What forbids to start, found before any port is opened."""

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = ...) -> None:
        """Own what answers are made of, until cancelled."""

    async def become_ready(self) -> None:
        """Runs beside the listeners; opens the gate, and may close it again."""

    async def refresh(self, trigger: str) -> None:
        """Read files again. Certificates are read by the lifecycle.

        :param trigger: who asks, for the log.
        :raises ConfigError: with what is at fault; what was in force there stays.
        """

    def stop(self) -> None:
        """No more new work, please: for load balancers, before connections are drained."""


def run_server(settings: ServerSettings, make: Callable[[Environment], Server]) -> int:
    """Serve until a signal; the exit code.

    :param make: called once the certificates are followed.
    :raises ConfigError: material or files named by the settings are at fault; no port was opened.
    """
    logs.configure(settings.log.level, settings.log.format)
    for warning in settings.warnings:
        log.warning(warning)
    try:
        return anyio.run(_serve, settings, make, backend_options={"use_uvloop": _has_uvloop()})
    except BaseExceptionGroup as group:
        faults = leaves(group)
    problems = [problem for fault in faults if isinstance(fault, ConfigError) for problem in fault.problems]
    if problems:
        raise ConfigError(problems)
    for fault in faults:
        if isinstance(fault, OSError | CrossrealmError):
            log.error("cannot go on", err=str(fault))
        else:
            log.error("cannot go on: an internal error", exc_info=fault)
    return EXIT_FAILED


def _has_uvloop() -> bool:
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return False
    return True


async def _serve(settings: ServerSettings, make: Callable[[Environment], Server]) -> int:
    registry = new_registry()
    certificates = CertificateCache(metrics=TlsMetrics(registry))
    async with anyio.create_task_group() as tasks:
        await tasks.start(certificates.run)
        front = WebFront(settings.http.config_file, certificates)
        grpc_tls = _listener_provider(settings, certificates)
        server = make(Environment(registry, certificates))
        await _check(server, [each for each in (grpc_tls, front.provider) if each])
        metrics = ServerMetrics(registry)
        with _bound(settings.grpc.address, settings.http.address) as (grpc_sockets, http_sockets):
            listener = Listener(
                server.services,
                grpc_sockets,
                tls=grpc_tls,
                options=_listener_options(settings),
                metrics=metrics,
            )
            notifier = Notifier.of_environment()

            async def read_certificates(trigger: str) -> None:
                # A signal is for file systems whose stat does not tell: it can take a second for a thousand
                # groups, for which no request should wait.
                await (certificates.refresh_all if trigger == SIGNAL else certificates.refresh_changed)()

            async def read_front(trigger: str) -> None:
                await front.reload(trigger)
                http.replace_tls(front.provider)

            reload = Reload(
                [
                    lambda _: notifier.reloading(),
                    read_certificates,
                    server.refresh,
                    read_front,
                    lambda _: notifier.reloaded(),
                ]
            )
            site = make_site(
                server.ready,
                registry,
                index=server.index,
                routes=[*server.routes, reload_route(reload.run, enabled=settings.http.lifecycle)],
                headers=front.headers,
                prefixes=Prefixes.of(settings.http),
            )
            http = HttpServer(front.guarded(site), http_sockets, tls=front.provider, metrics=metrics)
            show_status(registry, server.component, lambda: server.ready()[0])
            tasks.start_soon(LoopLag(registry).run)
            tasks.start_soon(notifier.run, server.ready)
            code = await _until_signal(_Running(settings, server, listener, http, notifier, reload))
        tasks.cancel_scope.cancel()
    return code


class _Running(msgspec.Struct, frozen=True):
    settings: ServerSettings
    server: Server
    listener: Listener
    http: HttpServer
    notifier: Notifier
    reload: Reload


async def _until_signal(running: _Running) -> int:
    """Run all parts until SIGTERM or SIGINT, then stop them in order."""
    settings, server, listener, http = running.settings, running.server, running.listener, running.http
    code = EXIT_OK
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with anyio.create_task_group() as web_tasks:
            await web_tasks.start(http.run)
            async with anyio.create_task_group() as server_tasks:
                await server_tasks.start(server.run)
                async with anyio.create_task_group() as tasks:
                    await tasks.start(listener.run)
                    tasks.start_soon(_become_ready, server)
                    log.info(
                        "listening",
                        grpc=settings.grpc.address,
                        http=settings.http.address,
                        tls=settings.grpc.tls is not None,
                    )
                    await _wait_for_stop(signals, running.reload, tasks)
                    server.stop()
                    await running.notifier.stopping()
                    log.info("stopping", grace=settings.grpc.grace_period)
                    if not await _drain(listener, settings.grpc.grace_period, signals):
                        code = EXIT_FAILED
                    tasks.cancel_scope.cancel()
                server_tasks.cancel_scope.cancel()
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as waiting:
                    waiting.start_soon(_cancel_on_signal, signals, scope)
                    await http.drain(settings.http.grace_period)
                    waiting.cancel_scope.cancel()
            web_tasks.cancel_scope.cancel()
    log.info("stopped", code=code)
    return code


async def _become_ready(server: Server) -> None:
    await server.become_ready()
    # What is there now stays: modules, kernels, metrics. Without this the collector walks through all
    # of it again and again, which takes tens of milliseconds in which nothing is answered.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


Signals = AsyncIterator[signal.Signals]


async def _wait_for_stop(signals: Signals, reload: Reload, tasks: anyio.abc.TaskGroup) -> None:
    async for received in signals:
        if received != signal.SIGHUP:
            log.info("signal", name=received.name)
            return
        log.info("SIGHUP: reading certificates and other files again")
        if not reload.requested:
            tasks.start_soon(_reload, reload)


async def _reload(reload: Reload) -> None:
    with suppress(ConfigError):  # logged by who found it
        await reload.run(SIGNAL)


async def _drain(listener: Listener, grace: float, signals: Signals) -> bool:
    """Drain the listener; False when a second signal, or the grace, cut calls."""
    cut = math.inf
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_signal, signals, tasks.cancel_scope)
        cut = await listener.drain(grace)
        tasks.cancel_scope.cancel()
    if cut == math.inf:
        log.warning("a second signal cut the stop short")
        return False
    if cut:
        log.warning("calls were cut at the end of the grace", calls=cut)
    return True


async def _cancel_on_signal(signals: Signals, scope: anyio.CancelScope) -> None:
    async for received in signals:
        if received != signal.SIGHUP:
            scope.cancel()
            return


# -- parts from settings


def _listener_provider(settings: ServerSettings, certificates: CertificateCache) -> Provider | None:
    tls = settings.grpc.tls
    if tls is None:
        return None
    return certificates.provider(
        LISTENER_GROUP,
        Role.SERVER,
        TlsFiles(
            cert_file=tls.cert_file, key_file=tls.key_file, ca_file=tls.client_ca_file, crl_file=tls.crl_file
        ),
        TlsPolicy(
            min_version=tls.min_version,
            verify_peer=bool(tls.client_ca_file),
            peer_identities=tls.allowed_identities,
            ciphers=tls.ciphers,
            curves=tls.curves,
        ),
    )


def _listener_options(settings: ServerSettings) -> ListenerOptions:
    return ListenerOptions(
        max_connection_age=settings.grpc.max_connection_age,
        max_connection_age_grace=settings.grpc.max_connection_age_grace,
        drain_window=settings.drain_window,
        max_message_size=settings.grpc.max_message_size,
    )


async def _check(server: Server, listeners: Sequence[Provider]) -> None:
    """The listeners' material must be usable, and whatever else the server needs.

    :raises ConfigError: with all that is not.
    """
    problems: list[Problem] = []
    for provider in listeners:
        problems.extend(await unusable(provider, f"the {provider.group} certificate"))
    problems.extend(await server.check())
    if problems:
        raise ConfigError(problems)


@contextmanager
def _bound(grpc: str, http: str) -> Iterator[tuple[list[socket.socket], list[socket.socket]]]:
    """Both listeners' sockets, or neither."""
    opened: list[list[socket.socket]] = []
    try:
        for address in (grpc, http):
            try:
                opened.append(bind(address))
            except OSError as error:
                raise OSError(f"cannot listen on {address}: {error.strerror or error}") from None
        yield opened[0], opened[1]
    finally:
        for sock in (sock for sockets in opened for sock in sockets):
            sock.close()
