"""A group whose certificate files are missing at start is down, says why, and stops nobody else.

Once the files are there it is up, without anybody's help.
"""

from pathlib import Path

import anyio
import pytest

from tests.harness import Querier, querier, world, write_endpoints

pytestmark = pytest.mark.anyio


async def test_group_without_files_starts_down_and_recovers(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",), plaintext=("local",), replicas=("a",)) as here:
        eu, down = here.realms["eu"], tmp_path / "down"
        down.mkdir()
        cert, key = down / "tls.crt", down / "tls.key"
        tls = {**eu.tls_config(), "cert_file": str(cert), "key_file": str(key)}
        file = down / "endpoints.yaml"
        write_endpoints(
            file,
            {
                "eu": (tls, [here.stores["eu", "a"].address]),
                "local": (None, [here.stores["local", "a"].address]),
            },
        )
        async with querier(down, [f"--endpoints.config={file}"], name="second") as second:
            rows = {row.group: row for row in await second.stores()}
            assert rows["local"].last_error == ""
            assert rows["eu"].last_error != "" and rows["eu"].handshakes == 0
            assert eu.querier.pair is not None
            key.write_bytes(eu.querier.pair.key)
            cert.write_bytes(eu.querier.pair.certificate)
            await until_all_well(second)


async def until_all_well(running: Querier) -> None:
    with anyio.fail_after(20):
        while any(row.last_error for row in await running.stores()):  # noqa: ASYNC110
            await anyio.sleep(0.05)
