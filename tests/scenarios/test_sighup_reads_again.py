"""SIGHUP reads certificates again at once, changed or not, and costs no call."""

import signal
from functools import partial
from pathlib import Path

import pytest

from tests.harness import World, world

pytestmark = pytest.mark.anyio

SIGNALS = 5


def _read_again(here: World, times: int, _: object) -> bool:
    return here.querier.log().count("SIGHUP: reading") >= times


async def test_sighup_reads_again(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",), replicas=("a",)) as here, here.load(rate=100) as tally:
        calls = tally.calls
        for number in range(1, SIGNALS + 1):
            here.querier.send_signal(signal.SIGHUP)
            await here.until(partial(_read_again, here, number), limit=10, what="the files are read again")
        renewed = here.realms["eu"].renew_store("a")
        await here.in_use(here.realms["eu"])
        assert renewed.serial in {row.serial for row in await here.querier.stores()}
        assert here.querier.child.returncode is None
        await here.until(lambda _: tally.calls >= calls + 50, limit=10, what="calls go on")
        assert list(tally.faults) == []
