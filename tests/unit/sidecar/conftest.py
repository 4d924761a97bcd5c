"""A sidecar's parts in front of a fake Prometheus."""

from collections.abc import AsyncIterator

import anyio
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from app.config.model import HttpClientConfig, MinTime
from app.sidecar.client import PrometheusClient
from app.sidecar.heartbeat import Heartbeat
from app.sidecar.metrics import SidecarMetrics
from app.sidecar.own_labels import OwnLabels
from app.sidecar.store import Store, StoreLimits
from tests.unit.sidecar.fake_prometheus import FakePrometheus, fake_prometheus


class Parts(msgspec.Struct):
    """A store whose heartbeat has found its Prometheus.

    :ivar changes: how often Prometheus came up or went down.
    """

    prometheus: FakePrometheus
    client: PrometheusClient
    heartbeat: Heartbeat
    store: Store
    registry: CollectorRegistry
    changes: list[bool]
    changed: anyio.Event

    def metric(self, name: str) -> float:
        return self.registry.get_sample_value(name) or 0.0

    async def heartbeat_again(self) -> None:
        """Have Prometheus looked at anew."""
        self.prometheus.asked.clear()
        self.heartbeat.look_now()
        # A heartbeat begins when the one before it is over.
        await self.prometheus.until(lambda: "/api/v1/status/config" in self.prometheus.paths())
        self.heartbeat.look_now()
        await self.prometheus.until(lambda: self.prometheus.paths().count("/api/v1/status/config") > 1)
        self.prometheus.asked.clear()

    async def until(self, up: bool) -> None:
        """Wait until the heartbeat says so."""
        with anyio.fail_after(10):
            while self.heartbeat.up()[0] is not up:
                self.heartbeat.look_now()
                await self.changed.wait()


@pytest.fixture
async def parts(request: pytest.FixtureRequest) -> AsyncIterator[Parts]:
    """Parametrised indirectly with `StoreLimits`, or with a `MinTime`."""
    given = getattr(request, "param", None)
    limits = given if isinstance(given, StoreLimits) else StoreLimits()
    min_time = given if isinstance(given, MinTime) else MinTime()
    registry = CollectorRegistry()
    metrics = SidecarMetrics(registry)
    async with fake_prometheus() as prometheus:
        client = PrometheusClient(prometheus.url, HttpClientConfig(), None)
        changes: list[bool] = []
        changed = anyio.Event()

        def note() -> None:
            nonlocal changed
            changes.append(heartbeat.up()[0])
            changed.set()
            made.changed = changed = anyio.Event()

        heartbeat = Heartbeat(
            client,
            interval=60,
            timeout=5,
            min_time=min_time,
            metrics=metrics,
            on_change=note,
        )
        store = Store(client, heartbeat, OwnLabels(client), limits, metrics)
        made = Parts(prometheus, client, heartbeat, store, registry, changes, changed)
        async with client, anyio.create_task_group() as tasks:
            tasks.start_soon(heartbeat.run)
            await made.until(up=True)
            prometheus.asked.clear()
            yield made
            tasks.cancel_scope.cancel()
