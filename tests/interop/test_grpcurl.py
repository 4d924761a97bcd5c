"""grpcurl, a Go program, lists and calls everything that the querier serves, over mTLS."""

import json
from pathlib import Path

import anyio
import pytest

from tests.harness import World, world
from tests.harness.programs import program

pytestmark = pytest.mark.anyio


async def grpcurl(here: World, *arguments: str, data: object = None) -> str:
    assert here.front is not None
    command = [
        program("grpcurl"),
        "-cacert",
        here.front.trust.ca_file,
        "-cert",
        here.front.client.cert_file,
        "-key",
        here.front.client.key_file,
        "-max-time",
        "20",
    ]
    if data is not None:
        command += ["-d", json.dumps(data)]
    address = here.querier.grpc_address.replace("127.0.0.1", "localhost")
    with anyio.fail_after(30):
        done = await anyio.run_process([*command, address, *arguments], check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


async def test_lists_describes_and_calls(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",), replicas=("a",)) as here:
        services = (await grpcurl(here, "list")).split()
        assert {"thanos.Store", "thanos.info.Info", "grpc.health.v1.Health"} <= set(services)
        assert {"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"} <= set(
            services
        )
        for service in services:
            assert "rpc" in await grpcurl(here, "describe", service)
        health = json.loads(await grpcurl(here, "grpc.health.v1.Health/Check", data={}))
        assert health == {"status": "SERVING"}
        info = json.loads(await grpcurl(here, "thanos.info.Info/Info", data={}))
        assert info["ComponentType"] == "query"
        assert {"name": "realm", "value": "eu"} in info["labelSets"][0]["labels"]
        whole = {"start": 0, "end": 2**53}
        names = json.loads(await grpcurl(here, "thanos.Store/LabelNames", data=whole))
        assert {"__name__", "realm"} <= set(names["names"])
        values = json.loads(await grpcurl(here, "thanos.Store/LabelValues", data={**whole, "label": "realm"}))
        assert values == {"values": ["eu"]}
        asked = {
            "min_time": 0,
            "max_time": 2**53,
            "matchers": [{"type": "RE", "name": "__name__", "value": ".+"}],
        }
        series = await grpcurl(here, "thanos.Store/Series", data=asked)
        assert series.count('"series"') == here.datasets[0].shape.series
        assert "warning" not in series
