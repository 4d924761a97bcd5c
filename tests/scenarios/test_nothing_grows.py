"""Five hundred calls and twenty rotations leave nothing behind: no descriptor, thread or memory.

What the querier holds is counted when it is warm, and again after the work.
"""

from pathlib import Path

import anyio
import pytest

from tests.harness import World, world

pytestmark = pytest.mark.anyio

CALLS, ROTATIONS = 500, 20
MEMORY = 40 * 1024 * 1024


async def work(here: World, calls: int, rotations: int) -> None:
    async with here.load(rate=200) as tally:
        for _ in range(rotations // 2):
            here.realms["eu"].renew_querier()
            here.realms["eu"].renew_store("a")
            await here.in_use(here.realms["eu"])
        with anyio.fail_after(30):
            while tally.calls < calls:  # noqa: ASYNC110
                await anyio.sleep(0.05)
    assert list(tally.faults) == []


@pytest.mark.timeout(180)
async def test_nothing_grows(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",), replicas=("a",), drain_window=1.0) as here:
        await work(here, 100, 4)
        await drained(here)
        before = here.querier.counts()
        await work(here, CALLS, ROTATIONS)
        await drained(here)
        after = here.querier.counts()
        assert after.descriptors <= before.descriptors + 2, (before, after)
        # Worker threads are kept for reuse, up to a bound; twenty rotations need no more than four did.
        assert after.threads <= before.threads + 4, (before, after)
        assert after.resident - before.resident < MEMORY, (before, after)


async def drained(here: World) -> None:
    """Wait until only the one connection to the endpoint is left."""
    with anyio.fail_after(15):
        while here.querier.counts().connections != 1:  # noqa: ASYNC110
            await anyio.sleep(0.05)
