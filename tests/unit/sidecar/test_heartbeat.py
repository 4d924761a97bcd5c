"""What the heartbeat finds, and what becomes of it."""

from collections.abc import Callable

import anyio
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from app.config.model import HttpClientConfig, MinTime
from app.errors import CallError
from app.sidecar.client import PrometheusClient
from app.sidecar.external_labels import parse_external_labels
from app.sidecar.heartbeat import Heartbeat, NoExternalLabels
from app.sidecar.metrics import SidecarMetrics
from tests.unit.sidecar.conftest import Parts
from tests.unit.sidecar.fake_prometheus import FakePrometheus, fake_prometheus

pytestmark = pytest.mark.anyio


async def test_what_is_found(parts: Parts) -> None:
    assert parts.heartbeat.external_labels() == (("realm", "eu"), ("replica", "a"))
    assert parts.heartbeat.min_time() == 1_000_000
    assert parts.heartbeat.peer().version == "2.42.0"
    assert parts.metric("thanos_sidecar_prometheus_up") == 1
    assert parts.metric("thanos_sidecar_last_heartbeat_success_time_seconds") > 1.7e9


async def test_external_labels_that_change_are_followed(parts: Parts) -> None:
    parts.prometheus.config = "global: {external_labels: {realm: us}}"
    await parts.heartbeat_again()
    assert parts.heartbeat.external_labels() == (("realm", "us"),)


async def test_external_labels_that_are_lost_close_the_gate(parts: Parts) -> None:
    parts.prometheus.config = "global: {scrape_interval: 15s}"
    await parts.until(up=False)
    with pytest.raises(CallError, match=r"set global\.external_labels"):
        parts.heartbeat.external_labels()
    assert parts.metric("thanos_sidecar_prometheus_up") == 0
    parts.prometheus.config = "global: {external_labels: {realm: eu}}"
    await parts.until(up=True)


@pytest.mark.parametrize("lowest", ["9.223372036854776e+15", "NaN", "nothing"])
async def test_an_empty_head_has_no_oldest_sample(parts: Parts, lowest: str) -> None:
    parts.prometheus.lowest = lowest
    await parts.heartbeat_again()
    assert parts.heartbeat.min_time() == -(2**63)


@pytest.mark.parametrize("parts", [MinTime(from_now=-60)], indirect=True)
async def test_a_relative_min_time_moves_on(parts: Parts) -> None:
    first = parts.heartbeat.min_time()
    assert first > 1_700_000_000_000
    await anyio.sleep(0.005)
    assert parts.heartbeat.min_time() > first


async def started(prometheus: FakePrometheus, check: Callable[[Heartbeat], None]) -> None:
    """Run a heartbeat until `check` has been called after its first look."""
    async with PrometheusClient(prometheus.url, HttpClientConfig(), None) as client:
        heartbeat = Heartbeat(
            client, interval=60, timeout=0.3, min_time=MinTime(),
            metrics=SidecarMetrics(CollectorRegistry()), on_change=lambda: None,
        )  # fmt: skip
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(heartbeat.run)
            await prometheus.until(lambda: len(prometheus.asked) > 3)  # the first request of the second look
            check(heartbeat)
            tasks.cancel_scope.cancel()


async def test_without_external_labels_nothing_starts() -> None:
    async with fake_prometheus() as prometheus:
        prometheus.config = "global: {external_labels: {realm: ''}}"
        async with PrometheusClient(prometheus.url, HttpClientConfig(), None) as client:
            heartbeat = Heartbeat(
                client, interval=60, timeout=5, min_time=MinTime(),
                metrics=SidecarMetrics(CollectorRegistry()), on_change=lambda: None,
            )  # fmt: skip
            with pytest.raises(NoExternalLabels, match="no external labels"), anyio.fail_after(10):
                await heartbeat.run()


async def test_a_configuration_that_is_none_is_said() -> None:
    def check(heartbeat: Heartbeat) -> None:
        up, reason = heartbeat.up()
        assert not up
        assert "its configuration cannot be read" in reason

    async with fake_prometheus() as prometheus:
        prometheus.config = "global: [1, 2"
        await started(prometheus, check)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('global:\n  external_labels:\n    b: "2"\n    a: one', (("a", "one"), ("b", "2"))),
        ("global: {external_labels: {version: 1.10, on: yes, day: 2026-01-31}}",
         (("day", "2026-01-31"), ("on", "yes"), ("version", "1.10"))),
        ("global: {external_labels: {empty: ''}}", ()),
        ("global: {scrape_interval: 15s}", ()),
        ("scrape_configs: []", ()),
        ("", ()),
    ],
)  # fmt: skip
def test_external_labels_in_a_configuration(text: str, labels: object) -> None:
    body = msgspec.json.encode({"status": "success", "data": {"yaml": text}})
    assert parse_external_labels(body) == labels


@pytest.mark.parametrize("body", [b"", b"{}", b'{"data":{"yaml":"global: {external_labels: [1]}"}}'])
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        parse_external_labels(body)
