"""Our channel against grpcio's server, which closes connections by its own maximum age.

Its two GOAWAYs come from the C core. Calls go on at 200 a second, unary and streaming, and none fails.
"""

from pathlib import Path

import anyio
import pytest

from app.demo.answers import questions
from tests.harness import Authority, Dataset, Front, Realm, Shape, caller, load, official_store

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("secure", [True, False], ids=["mtls", "plaintext"])
async def test_official_server_ages_connections_out(tmp_path: Path, secure: bool) -> None:
    authority = Authority("one CA")
    realm = Realm("eu", tmp_path / "eu", authority) if secure else None
    front = Front(tmp_path / "front", authority) if secure else None
    dataset = Dataset("eu", "a", Shape(series=64))
    async with (
        official_store(dataset, realm, max_connection_age=1.0) as address,
        caller(address, front) as channel,
        load(channel, questions([dataset]), rate=200) as tally,
    ):
        with anyio.fail_after(60):
            while channel.status().handshakes < 6:  # noqa: ASYNC110
                await anyio.sleep(0.1)
    assert list(tally.faults) == []
    assert tally.calls > 100
