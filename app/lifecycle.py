"""The root task group of `crossrealm query`: start order, signals, readiness, and the order of the stop.

Start: certificates, endpoints, the gRPC listener, HTTP. Stop, in the other direction: not ready and
NOT_SERVING, the gRPC listener drains, the endpoints close, HTTP last, so that probes and metrics are there to
the end.
"""

import math
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from app.config.model import EndpointGroup, QuerySettings
from app.endpoints.client_tls import client_material
from app.endpoints.metrics import EndpointMetrics
from app.endpoints.model import Snapshot
from app.endpoints.settings import EndpointSettings
from app.endpoints.supervisor import Endpoints
from app.errors import ConfigError, CrossrealmError, MaterialError, Problem
from app.fanout import warm_up
from app.fanout.fanout import Fanout
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions
from app.readiness import Readiness
from app.rpc.acceptor import bind
from app.rpc.channel import Channel, ChannelOptions
from app.rpc.listener import Listener, ListenerOptions
from app.rpc.metrics import ClientMetrics
from app.rpc.server_metrics import ServerMetrics
from app.services import health, info, store
from app.services.health import Health
from app.services.reflection import Reflection
from app.telemetry import logs
from app.telemetry.loop_lag import LoopLag
from app.telemetry.registry import new_registry
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import ProviderStatus, Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider
from app.web.auth import BasicAuth
from app.web.config import WebConfig, load_web_config
from app.web.server import HttpServer
from app.web.site import make_site

EXIT_OK, EXIT_FAILED = 0, 1
LISTENER_GROUP = "listener"
HTTP_GROUP = "http"

log = structlog.get_logger()


def run_query(settings: QuerySettings) -> int:
    """Serve until a signal; the exit code.

    :raises ConfigError: material or files named by the settings are at fault; no port was opened.
    """
    logs.configure(settings.log.level, settings.log.format)
    for warning in settings.warnings:
        log.warning(warning)
    try:
        return anyio.run(_serve, settings, backend_options={"use_uvloop": _has_uvloop()})
    except BaseExceptionGroup as group:
        faults = _leaves(group)
    problems = [problem for fault in faults if isinstance(fault, ConfigError) for problem in fault.problems]
    if problems:
        raise ConfigError(problems)
    for fault in faults:
        if isinstance(fault, OSError | CrossrealmError):
            log.error("cannot go on", err=str(fault))
        else:
            log.error("cannot go on: an internal error", exc_info=fault)
    return EXIT_FAILED


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """What was raised, out of the task groups that wrap it."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


def _has_uvloop() -> bool:
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return False
    return True


class Querier:
    """Mutable: readiness and health, changed by the tasks below; made for one run.

    :param certificates: running.
    """

    def __init__(
        self, settings: QuerySettings, registry: CollectorRegistry, certificates: CertificateCache
    ) -> None:
        self.settings = settings
        self.certificates = certificates
        self.readiness = Readiness(time.monotonic())
        self.warm = False
        self._client_metrics = ClientMetrics(registry)
        self.endpoints = Endpoints(
            settings=EndpointSettings(
                info_interval=settings.info_interval,
                info_timeout=settings.info_timeout,
                unhealthy_timeout=settings.unhealthy_timeout,
                sd_interval=settings.sd_interval,
            ),
            certificates=certificates,
            channel_factory=self._channel,
            metrics=EndpointMetrics(registry),
        )
        fanout = Fanout(
            self.endpoints,
            FanoutOptions(
                selector_labels=settings.selector_labels,
                missing_endpoints=settings.missing_endpoints,
                response_timeout=settings.response_timeout,
                resort_buffer=settings.resort_buffer,
            ),
            FanoutMetrics(registry),
        )
        served = [store.NAME, info.NAME, health.NAME]
        self.health = Health(served)
        self.services = [
            store.Store(fanout).service(),
            info.Info(self.endpoints, settings.selector_labels, lambda: self.readiness.ready).service(),
            self.health.service(),
            *Reflection(served).services(),
        ]

    def _channel(self, group: EndpointGroup, address: str, tls: Provider | None) -> Channel:
        return Channel(
            address,
            group=group.name,
            tls=tls,
            server_name=group.tls.server_name if group.tls else "",
            metrics=self._client_metrics,
            options=ChannelOptions(
                max_message_size=self.settings.client_max_message_size,
                drain_window=self.settings.drain_window,
            ),
        )

    # -- what the site shows

    def ready(self) -> tuple[bool, str]:
        return self.readiness.ready, self.readiness.reason

    def snapshot(self) -> Snapshot:
        return self.endpoints.snapshot()

    def tls_status(self) -> Sequence[ProviderStatus]:
        return [provider.status() for provider in self.certificates.providers()]

    # -- tasks

    async def become_ready(self) -> None:
        """Compile the kernels, wait for the first round, and open the gate."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._warm_up)
            while not self._look():
                with anyio.move_on_after(0.2):
                    await self.endpoints.wait_first_round()
                    if not self._look():
                        await anyio.sleep_forever()
        self.health.set_serving(self.readiness.ready)
        if self.readiness.ready:
            log.info("ready", endpoints=len(self.snapshot().endpoints))

    async def _warm_up(self) -> None:
        await anyio.to_thread.run_sync(warm_up, abandon_on_cancel=True)
        self.warm = True

    def _look(self) -> bool:
        return self.readiness.look(
            time.monotonic(),
            first_round_over=self.endpoints.first_round_over,
            discovery_failed=self.endpoints.discovery_failed(),
            warm=self.warm,
        )

    def stop(self) -> None:
        """No more new work, please: for load balancers, before connections are drained."""
        self.readiness.drain()
        self.health.set_serving(False)


async def _serve(settings: QuerySettings) -> int:
    registry = new_registry()
    certificates = CertificateCache(metrics=TlsMetrics(registry))
    async with anyio.create_task_group() as tasks:
        await tasks.start(certificates.run)
        web = load_web_config(Path(settings.http.config_file)) if settings.http.config_file else WebConfig()
        grpc_tls = _listener_provider(settings, certificates)
        http_tls = _http_provider(web, certificates)
        await _check_material(settings, [each for each in (grpc_tls, http_tls) if each], certificates)
        querier = Querier(settings, registry, certificates)
        metrics = ServerMetrics(registry)
        with _bound(settings.grpc.address, settings.http.address) as (grpc_sockets, http_sockets):
            listener = Listener(
                querier.services,
                grpc_sockets,
                tls=grpc_tls,
                options=_listener_options(settings),
                metrics=metrics,
            )
            site: ASGIApp = make_site(querier, registry, hide_tls=settings.http.hide_tls, headers=web.headers)
            if web.users:
                site = BasicAuth(site, web.users)
            http = HttpServer(site, http_sockets, tls=http_tls, metrics=metrics)
            tasks.start_soon(LoopLag(registry).run)
            code = await _until_signal(querier, listener, http)
        tasks.cancel_scope.cancel()
    return code


async def _until_signal(querier: Querier, listener: Listener, http: HttpServer) -> int:
    """Run all parts until SIGTERM or SIGINT, then stop them in order."""
    settings = querier.settings
    code = EXIT_OK
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with anyio.create_task_group() as web_tasks:
            await web_tasks.start(http.run)
            async with anyio.create_task_group() as endpoint_tasks:
                await endpoint_tasks.start(querier.endpoints.run, settings.groups)
                async with anyio.create_task_group() as tasks:
                    await tasks.start(listener.run)
                    tasks.start_soon(querier.become_ready)
                    log.info(
                        "listening",
                        grpc=settings.grpc.address,
                        http=settings.http.address,
                        tls=settings.grpc.tls is not None,
                    )
                    await _wait_for_stop(signals, querier)
                    querier.stop()
                    log.info("stopping", grace=settings.grpc.grace_period)
                    if not await _drain(listener, settings.grpc.grace_period, signals):
                        code = EXIT_FAILED
                    tasks.cancel_scope.cancel()
                endpoint_tasks.cancel_scope.cancel()
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as waiting:
                    waiting.start_soon(_cancel_on_signal, signals, scope)
                    await http.drain(settings.http.grace_period)
                    waiting.cancel_scope.cancel()
            web_tasks.cancel_scope.cancel()
    log.info("stopped", code=code)
    return code


Signals = AsyncIterator[signal.Signals]


async def _wait_for_stop(signals: Signals, querier: Querier) -> None:
    async for received in signals:
        if received != signal.SIGHUP:
            log.info("signal", name=received.name)
            return
        log.info("SIGHUP: reading certificates and file SD again")
        querier.endpoints.request_refresh()
        await querier.certificates.refresh_all()


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


def _listener_provider(settings: QuerySettings, certificates: CertificateCache) -> Provider | None:
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


def _http_provider(web: WebConfig, certificates: CertificateCache) -> Provider | None:
    if web.files is None or web.policy is None:
        return None
    return certificates.provider(HTTP_GROUP, Role.SERVER, web.files, web.policy)


def _listener_options(settings: QuerySettings) -> ListenerOptions:
    return ListenerOptions(
        max_connection_age=settings.grpc.max_connection_age,
        max_connection_age_grace=settings.grpc.max_connection_age_grace,
        drain_window=settings.drain_window,
        max_message_size=settings.grpc.max_message_size,
    )


async def _check_material(
    settings: QuerySettings, listeners: Sequence[Provider], certificates: CertificateCache
) -> None:
    """The listeners' material must be usable; that of the endpoints too with `--tls.startup=strict`.

    :raises ConfigError: with all that is not.
    """
    problems: list[Problem] = []
    for provider in listeners:
        await _try(provider, f"the {provider.group} certificate", problems)
    if settings.tls_startup_strict:
        for group in settings.groups:
            if group.tls is not None:
                provider = certificates.provider(group.name, Role.CLIENT, *client_material(group.tls))
                await _try(provider, f"group {group.name}", problems)
                certificates.remove(provider)
    if problems:
        raise ConfigError(problems)


async def _try(provider: Provider, where: str, problems: list[Problem]) -> None:
    try:
        await provider.fresh()
    except MaterialError as error:
        problems.append(Problem(where, str(error)))


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
