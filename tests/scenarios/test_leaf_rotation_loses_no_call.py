"""Renewing certificates and keys, on either side, again and again, fails no call.

Every round gives the querier a new client leaf and both stores new server leaves, with new keys, while our
client asks at 200 calls a second, unary and streaming. A round is over when the querier shows connections
that use all of it. Nothing restarts.
"""

from pathlib import Path

import anyio
import pytest

from tests.harness import world

pytestmark = pytest.mark.anyio

ROUNDS = 5


@pytest.mark.timeout(180)
async def test_leaf_rotation_loses_no_call(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",), drain_window=1.0) as here:
        eu = here.realms["eu"]
        pid = here.querier.child.pid
        async with here.load(rate=200) as tally:
            seen = {row.serial for row in await here.querier.stores()}
            for _ in range(ROUNDS):
                await here.renew(eu)
                seen |= {row.serial for row in await here.querier.stores()}
            with anyio.fail_after(60):
                while tally.calls <= 100 * ROUNDS:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
        assert list(tally.faults) == []
        assert tally.failed == 0
        assert len(seen) == 2 * (ROUNDS + 1), "each round shows two certificates that were never seen before"
        assert here.querier.child.pid == pid and here.querier.child.returncode is None
