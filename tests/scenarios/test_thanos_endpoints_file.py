"""The endpoints file of `thanos query` works as it is, and edited while it is in use.

A realm by default, one with a client_config of its own, plaintext, and an endpoint from a flag. An endpoint
is given other settings, and so goes to another group, under load: no call fails, and the others keep their
connections.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness import caller, load, world
from tests.harness.querier import querier

pytestmark = pytest.mark.anyio


def _write(path: Path, default: Mapping[str, Any], endpoints: Mapping[str, Mapping[str, Any]]) -> None:
    written = [{"address": address, "client_config": config} for address, config in endpoints.items()]
    temporary = path.with_suffix(".tmp")
    temporary.write_text(
        yaml.safe_dump({"default_client_config": {"tls_config": default}, "endpoints": written})
    )
    temporary.rename(path)


async def test_thanos_endpoints_file(tmp_path: Path) -> None:
    async with world(tmp_path, plaintext=("local",), secure_front=False) as here:
        eu, us = here.realms["eu"].tls_config(), here.realms["us"].tls_config()
        (eu_a, eu_b), (us_a, us_b) = here.groups["eu"][1], here.groups["us"][1]
        local_a, local_b = here.groups["local"][1]
        plain, american = {"tls_config": {"enabled": False}}, {"tls_config": us}
        endpoints: dict[str, Mapping[str, Any]] = {
            eu_b: {},
            us_a: american,
            us_b: american,
            local_a: plain,
            local_b: plain,
        }
        path = tmp_path / "sd.yaml"
        _write(path, eu, endpoints)
        flags = [f"--endpoint.sd-config-file={path}", f"--endpoint={eu_a}"]
        async with (
            querier(tmp_path, flags, name="thanos") as asked,
            caller(asked.grpc_address, None) as channel,
            load(channel, here.questions(), rate=100) as tally,
        ):
            before = {row.address: row for row in await asked.stores()}
            assert {before[each].group for each in (eu_a, eu_b)} == {"default"}
            assert {before[each].group for each in (local_a, local_b)} == {"plaintext"}
            assert before[us_a].group == before[us_b].group != "default"
            pin = here.realms["us"].tls_config(pinned=True)["peer_identities"]
            _write(path, eu, {**endpoints, us_b: {"tls_config": {**us, "peer_identities": pin}}})

            def moved() -> bool:
                return "endpoints file reloaded" in asked.log()

            await here.until(lambda _: moved(), limit=20, what="applied")
            calls = tally.calls
            await here.until(lambda _: tally.calls > calls + 100, limit=20, what="calls go on")
            after = {row.address: row for row in await asked.stores()}
            assert after[us_b].group not in (before[us_b].group, "default", "plaintext")
            assert after[us_b].version == "TLSv1.3"
            for address in {*before} - {us_b}:
                assert (after[address].group, after[address].handshakes) == (
                    before[address].group,
                    before[address].handshakes,
                )
            assert list(tally.faults) == []
