"""`crossrealm sidecar`: one Prometheus behind the Store API."""

from collections.abc import Sequence

import anyio
import anyio.abc
import anyio.to_thread
import structlog
from starlette.routing import Route

from app.config.model import SidecarSettings
from app.endpoints.client_tls import client_material
from app.errors import Problem
from app.lifecycle import Environment, run_server
from app.rpc.model import Service
from app.services import health, info
from app.services.apis import api_services, names
from app.services.health import Health
from app.services.reflection import Reflection
from app.sidecar import store, warm_up
from app.sidecar.apis import PrometheusApis
from app.sidecar.client import PrometheusClient
from app.sidecar.heartbeat import Heartbeat
from app.sidecar.info import Info
from app.sidecar.metrics import SidecarMetrics
from app.sidecar.own_labels import OwnLabels
from app.sidecar.store import Store, StoreLimits
from app.tls.model import Role
from app.tls.provider import Provider
from app.tls.usable import unusable

GROUP = "prometheus"
"""What the certificates for Prometheus are listed under."""
INDEX = """crossrealm sidecar

/-/healthy        200 while the process runs
/-/ready          200 while Prometheus answers
/metrics          metrics for Prometheus
"""

log = structlog.get_logger()


def run_sidecar(settings: SidecarSettings) -> int:
    """Serve until a signal; the exit code.

    :raises ConfigError: material or files named by the settings are at fault; no port was opened.
    """
    return run_server(settings, lambda environment: Sidecar(settings, environment))


class Sidecar:
    """Mutable: readiness and health, changed by the tasks below; made for one run. A `Server`."""

    component = "sidecar"
    index = INDEX
    routes: Sequence[Route] = ()

    def __init__(self, settings: SidecarSettings, environment: Environment) -> None:
        self._certificates = environment.certificates
        self._provider: Provider | None = None
        tls = settings.http_client.tls
        if tls is not None:
            files, policy = client_material(tls, alpn=("http/1.1",))
            self._provider = self._certificates.provider(GROUP, Role.CLIENT, files, policy)
        metrics = SidecarMetrics(environment.registry)
        self._client = PrometheusClient(settings.prometheus_url, settings.http_client, self._provider)
        self._heartbeat = Heartbeat(
            self._client,
            interval=settings.heartbeat_interval,
            timeout=settings.heartbeat_timeout,
            min_time=settings.min_time,
            metrics=metrics,
            on_change=self._announce,
        )
        self._warm = False
        self._stopping = False
        apis = PrometheusApis(self._client, self._heartbeat.external_labels).answers()
        served = [store.NAME, info.NAME, health.NAME, *names(apis)]
        self.health = Health(served)
        limits = StoreLimits(
            max_series=settings.max_series,
            max_samples=settings.max_samples,
            resort_buffer=settings.resort_buffer,
        )
        self.services: Sequence[Service] = [
            Store(self._client, self._heartbeat, OwnLabels(self._client), limits, metrics).service(),
            Info(self._heartbeat, self.ready).service(),
            *api_services(apis),
            self.health.service(),
            *Reflection(served).services(),
        ]

    def ready(self) -> tuple[bool, str]:
        """Ready while Prometheus answers, as Thanos's sidecar."""
        if self._stopping:
            return False, "the sidecar is stopping"
        if not self._warm:
            return False, "the kernels are being compiled"
        return self._heartbeat.up()

    async def check(self) -> list[Problem]:
        """The certificates for Prometheus must be usable: there is nothing to serve without."""
        if self._provider is None:
            return []
        return await unusable(self._provider, "the certificates for Prometheus")

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the connections to Prometheus, until cancelled."""
        async with self._client:
            task_status.started()
            await self._heartbeat.run()

    async def become_ready(self) -> None:
        """Compile the kernels; the heartbeat does the rest."""
        await anyio.to_thread.run_sync(warm_up, abandon_on_cancel=True)
        self._warm = True
        self._announce()

    async def refresh(self, _: str) -> None:
        """Look at Prometheus now."""
        self._heartbeat.look_now()

    def stop(self) -> None:
        self._stopping = True
        self._announce()

    def _announce(self) -> None:
        ready, reason = self.ready()
        self.health.set_serving(ready)
        if ready:
            log.info("ready")
        elif not self._stopping:
            log.info("not ready", reason=reason)
