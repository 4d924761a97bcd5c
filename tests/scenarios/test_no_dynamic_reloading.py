"""`--no-endpoints.config.reload`: the endpoints file is read at start only; certificates stay live."""

import signal
from pathlib import Path

import pytest

from tests.harness import world

pytestmark = pytest.mark.anyio


async def test_no_dynamic_reloading(tmp_path: Path) -> None:
    flags = ["--no-endpoints.config.reload", "--web.enable-lifecycle"]
    async with world(tmp_path, realms=("eu",), replicas=("a",), flags=flags) as here, here.load() as tally:
        here.write_groups({"europe": here.groups["eu"]})
        here.querier.send_signal(signal.SIGHUP)
        assert await here.querier.post("/-/reload") == (200, "")
        await here.renew(here.realms["eu"])
        assert [row.group for row in await here.querier.stores()] == ["eu"]
        assert list(tally.faults) == []
