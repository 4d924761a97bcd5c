"""A Prometheus that is gone is said in every answer it is missing from, and no longer when it is back.

While its HA replica covers it, nothing is missing, and nothing is said.
"""

from pathlib import Path

import grpc.aio
import pytest

from app.demo.probe import http_get
from app.pb.thanos import PartialResponseStrategy
from app.stack.scene import Stack
from tests.harness.stack import ask_series, asking, matching, settled_range, stack, until

pytestmark = pytest.mark.anyio

UP = matching("__name__", "up")


async def realms(channel: grpc.aio.Channel, **more: object) -> tuple[set[tuple[str, str]], list[str]]:
    """Realm and replica of the series of `up`, and warnings."""
    start, end = settled_range()
    series, warnings = await ask_series(channel, [UP], start, end, **more)
    sets = [{label.name: label.value for label in each.labels} for each in series]
    return {(labels["realm"], labels.get("replica", "")) for labels in sets}, warnings


async def ready(running: Stack, realm: str, replica: str) -> int:
    status, _ = await http_get(f"http://{running.members[realm, replica].http_address}/-/ready")
    return status


async def test_prometheus_killed_and_back(tmp_path: Path) -> None:
    async with stack(tmp_path) as running, asking(running) as channel:
        everything = {("eu", "a"), ("eu", "b"), ("us", "a"), ("local", "a")}
        assert await realms(channel) == (everything, [])

        await running.kill("us", "a")
        address = running.members["us", "a"].grpc_address
        # At once: the call itself fails. Later: the sidecar is not ready, and so the endpoint not healthy.
        found, (warning,) = await realms(channel)
        assert found == everything - {("us", "a")}
        assert f"us/{address}" in warning
        with pytest.raises(grpc.aio.AioRpcError, match="us/127"):
            await realms(channel, partial_response_strategy=PartialResponseStrategy.ABORT)
        await until(lambda: ready(running, "us", "a"), lambda status: status == 503, "not ready")
        _, metrics = await http_get(f"http://{running.members['us', 'a'].http_address}/metrics")
        assert b"\nthanos_sidecar_prometheus_up 0.0\n" in metrics

        await running.kill("eu", "b")
        await until(lambda: ready(running, "eu", "b"), lambda status: status == 503, "not ready")
        covered = {"without_replica_labels": ["replica"]}
        _, warnings = await until(
            lambda: realms(channel, **covered),
            lambda answer: answer[1] and all("not healthy" in each for each in answer[1]),
            "only what nothing covers is said to be missing",
        )
        assert ["eu/" in each for each in warnings] == [False]

        await running.start("us", "a")
        await running.start("eu", "b")
        await until(
            lambda: realms(channel), lambda answer: answer == (everything, []), "the answer is whole again"
        )
        assert await ready(running, "us", "a") == 200
