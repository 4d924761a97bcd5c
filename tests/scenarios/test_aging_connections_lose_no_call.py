"""Closing every connection after one second fails no call, neither of our client nor of the official one.

The querier's listener and the stores both close connections by age. Thirty seconds of calls, so that each
client is moved to a new connection about thirty times.
"""

from pathlib import Path

import anyio
import pytest

from tests.harness import official, official_load, world

pytestmark = pytest.mark.anyio

SECONDS = 30


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_aging_connections_lose_no_call(tmp_path: Path) -> None:
    flags = ["--grpc-server-max-connection-age=1s"]
    async with (
        world(tmp_path, realms=("eu",), flags=flags, max_connection_age=1.0) as here,
        official(here.querier.grpc_address, here.front) as channel,
        official_load(channel, here.questions(), rate=50) as official_tally,
        here.load(rate=100) as tally,
    ):
        await official_tally.begun.wait()
        await anyio.sleep(SECONDS)
        rows = await here.querier.stores()
    assert list(tally.faults) == []
    assert list(official_tally.faults) == []
    assert tally.calls > 20 * SECONDS
    assert official_tally.calls > 10 * SECONDS
    assert all(row.handshakes > SECONDS / 2 for row in rows), "connections did not end by age"
