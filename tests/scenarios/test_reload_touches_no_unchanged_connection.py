"""A reload of the endpoints file touches no connection of a group that stays the same, and loses no call.

However it is asked for, under load: one group of two gets another `tls_config`, is renamed, and a third comes
and goes. The other group keeps its connections, and no call fails.
"""

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import anyio
import pytest

from app.demo.board import EndpointRow
from tests.harness import World, world
from tests.harness.world import Group

pytestmark = pytest.mark.anyio


async def _wait(_: World) -> None:
    """It is found by itself."""


async def _signal(here: World) -> None:
    here.querier.send_signal(signal.SIGHUP)


async def _post(here: World) -> None:
    assert await here.querier.post("/-/reload") == (200, "")


Connections = dict[str, tuple[float | None, int]]
"""By address: when it was made, and how many handshakes there have been."""


def _connections(rows: Sequence[EndpointRow], group: str) -> Connections:
    return {row.address: (row.connected_at, row.handshakes) for row in rows if row.group == group}


def _handshakes(connections: Connections) -> dict[str, int]:
    return {address: handshakes for address, (_, handshakes) in connections.items()}


async def _reloads(here: World) -> float:
    return await here.querier.metric("crossrealm_endpoints_config_reloads_total", result="success")


@pytest.mark.parametrize("ask", [_wait, _signal, _post])
async def test_reload_touches_no_unchanged_connection(
    tmp_path: Path, ask: Callable[[World], Awaitable[None]]
) -> None:
    async with world(tmp_path, flags=["--web.enable-lifecycle"]) as here, here.load(rate=200) as tally:
        before = await here.querier.stores()
        kept, edited = _connections(before, "eu"), _connections(before, "us")
        assert len(kept) == len(edited) == 2

        async def reload(groups: Mapping[str, Group]) -> None:
            reloads = await _reloads(here)
            here.write_groups(groups)
            await ask(here)
            with anyio.fail_after(20):
                while await _reloads(here) == reloads:  # noqa: ASYNC110
                    await anyio.sleep(0.05)

        eu, us = here.groups["eu"], here.groups["us"]
        pinned: Group = (here.realms["us"].tls_config(pinned=True), us[1])
        await reload({"eu": eu, "us": pinned})
        await here.until(
            lambda rows: all(
                row.version and row.connected_at and row.connected_at > (edited[row.address][0] or 0) + 0.5
                for row in rows
                if row.group == "us"
            ),
            limit=20,
            what="new connections to the group that was edited",
        )
        moved = _connections(await here.querier.stores(), "us")
        await reload({"new": (None, []), "america": pinned, "eu": eu})
        renamed = _connections(await here.querier.stores(), "america")
        assert _handshakes(renamed) == _handshakes(moved), "a name alone is no reason for a handshake"
        await reload({"eu": eu, "america": pinned})
        calls = tally.calls
        await here.until(lambda _: tally.calls > calls + 50, limit=10, what="calls go on")
        assert list(tally.faults) == []
        after = _connections(await here.querier.stores(), "eu")
        assert _handshakes(after) == _handshakes(kept)
        for address, (connected_at, _) in after.items():
            assert connected_at == pytest.approx(kept[address][0], abs=0.3)
        for group, count in (("eu", 2), ("america", 2), ("us", 0), ("new", 0)):
            serving = await here.querier.metric("crossrealm_client_connections", group=group, state="serving")
            assert serving == count, group
