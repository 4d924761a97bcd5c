"""Fifty rotations in a row, of leaves, keys, CAs and the querier's own certificate, fail no call.

Our client asks at 200 calls a second, unary and streaming, all the time. A round renews the querier's client
certificate, those of both stores and that of the querier's listener, each with a new key, and replaces the
realm's CA: old and new trusted together, new leaves, old one removed. A round is over when the connections
show all of it. Nothing restarts.
"""

import time
from pathlib import Path

import pytest

from tests.harness import client_context, shake, world

pytestmark = pytest.mark.anyio

ROUNDS, ROTATIONS_A_ROUND = 10, 5
RATE = 200


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(180)
async def test_fifty_rotations_lose_no_call(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",), drain_window=1.0) as here:
        assert here.front is not None
        eu, front, rotations = here.realms["eu"], here.front, 0
        async with here.load(rate=RATE) as tally:
            began = time.monotonic()
            for _ in range(ROUNDS):
                listener = front.renew_listener()
                await here.renew(eu)
                await here.replace_authority(eu)
                shown = await shake(here.querier.grpc_address, client_context(front, front.client))
                assert shown.accepted, shown.error
                assert shown.serial == listener.serial, "the listener still shows its old certificate"
                rotations += ROTATIONS_A_ROUND
            took = time.monotonic() - began
        assert list(tally.faults) == []
        assert tally.failed == 0
        assert rotations == 50
        assert tally.calls > 0.8 * RATE * took, f"the load fell behind: {tally.calls} calls in {took:.0f} s"
