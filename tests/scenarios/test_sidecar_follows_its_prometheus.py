"""A sidecar is ready while its Prometheus answers, carries its external labels, and needs some to start."""

import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio.to_thread
import msgspec
import pytest

from app.demo.probe import http_get
from app.demo.processes import ChildError, free_address, running, running_server
from app.stack.prometheus import PrometheusServer
from app.stack.target import target
from tests.harness.load import official
from tests.harness.programs import program
from tests.harness.stack import ask_series, get, instant, matching, settled_range, until

pytestmark = pytest.mark.anyio


def server(
    directory: Path,
    *,
    external_labels: Mapping[str, str] | None = None,
    targets: Mapping[str, Sequence[str]] | None = None,
    honor_labels: frozenset[str] = frozenset(),
) -> PrometheusServer:
    labels = {"realm": "eu", "replica": "a"} if external_labels is None else external_labels
    return PrometheusServer(
        name="prometheus",
        directory=directory / "prometheus",
        address=free_address(),
        external_labels=labels,
        targets=targets or {},
        honor_labels=honor_labels,
    )


def flags(prometheus: PrometheusServer, grpc_address: str) -> list[str]:
    return [
        f"--prometheus.url={prometheus.url}",
        f"--grpc-address={grpc_address}",
        "--prometheus.get_config_interval=300ms",
    ]


async def test_without_external_labels_it_does_not_start(tmp_path: Path) -> None:
    program("prometheus")
    prometheus = server(tmp_path, external_labels={})
    async with prometheus.running(tmp_path):
        with pytest.raises(ChildError, match="exit code 1") as caught:
            async with running_server(
                "sidecar", flags(prometheus, free_address()), tmp_path, http_address=free_address()
            ):
                pass
    assert "has no external labels" in str(caught.value)
    assert "Traceback" not in str(caught.value)


async def test_it_waits_for_prometheus_and_follows_its_labels(tmp_path: Path) -> None:
    program("prometheus")
    prometheus = server(tmp_path)
    http_address, grpc_address = free_address(), free_address()
    command = [*flags(prometheus, grpc_address), f"--http-address={http_address}"]

    async def ready() -> tuple[int, bytes]:
        return await http_get(f"http://{http_address}/-/ready")

    async with running("sidecar", [sys.executable, "-m", "app", "sidecar", *command], tmp_path):
        status, reason = await until(ready, lambda seen: b"Prometheus at" in seen[1], "why it is not ready")
        assert (status, prometheus.url.encode() in reason) == (503, True)
        async with prometheus.running(tmp_path), official(grpc_address, None) as channel:
            await until(ready, lambda seen: seen[0] == 200, "ready once Prometheus is there")
            await until(
                lambda: instant(prometheus.url, "up"), lambda found: len(found) == 1, "the first scrape"
            )

            async def realm() -> set[str]:
                start, end = settled_range(60)
                series, _ = await ask_series(channel, [matching("__name__", "up")], start, end)
                return {label.value for each in series for label in each.labels if label.name == "realm"}

            await until(realm, lambda found: found == {"eu"}, "the external label")
            changed = msgspec.structs.replace(prometheus, external_labels={"realm": "us"})
            changed.write()
            await _reload(prometheus)
            await until(realm, lambda found: found == {"us"}, "the external label that was changed")
        await until(ready, lambda seen: seen[0] == 503, "not ready without Prometheus")


async def _reload(prometheus: PrometheusServer) -> None:
    def post() -> int:
        request = urllib.request.Request(f"{prometheus.url}/-/reload", method="POST")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)

    assert await anyio.to_thread.run_sync(post) == 200


async def test_labels_of_targets_under_an_external_name_are_replaced_and_sorted(tmp_path: Path) -> None:
    program("prometheus")
    async with target() as example:
        # Its temperature has a `replica` of its own, which this scrape keeps.
        prometheus = server(tmp_path, targets={"example": [example]}, honor_labels=frozenset(["example"]))
        grpc_address = free_address()
        async with (
            prometheus.running(tmp_path),
            running_server("sidecar", flags(prometheus, grpc_address), tmp_path, http_address=free_address()),
            official(grpc_address, None) as channel,
        ):
            own = await until(
                lambda: get(f"{prometheus.url}/api/v1/label/replica/values"), lambda found: found, "scrapes"
            )
            assert own == ["inside"]

            async def temperatures() -> list[dict[str, str]]:
                start, end = settled_range(60)
                series, _ = await ask_series(channel, [matching("job", "example")], start, end)
                return [{label.name: label.value for label in each.labels} for each in series]

            found = await until(temperatures, lambda found: len(found) > 5, "series")
    assert all(labels["replica"] == "a" for labels in found)
    keys = [sorted(labels.items()) for labels in found]
    assert keys == sorted(keys)
