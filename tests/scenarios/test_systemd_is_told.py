"""systemd hears when the querier may be asked, that it lives, when it reads files again and when it stops."""

import os
import signal
from pathlib import Path

import anyio
import pytest

from app.demo.processes import free_address, running_querier
from tests.harness import notify_socket

pytestmark = pytest.mark.anyio


async def test_systemd_is_told(tmp_path: Path) -> None:
    with notify_socket(str(tmp_path / "notify")) as systemd:
        environment = {**os.environ, "NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "500000"}
        flags = [f"--grpc-address={free_address()}", "--grpc-grace-period=5s"]
        async with running_querier(
            flags, tmp_path, http_address=free_address(), environment=environment
        ) as child:
            assert "STATUS=ready" in await systemd.until("READY=1")
            for _ in range(3):
                await systemd.until("WATCHDOG=1", limit=5)
            child.send_signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in "".join(await systemd.until("RELOADING=1", limit=10))
            await systemd.until("READY=1", limit=10)
            child.stopping = True
            child.send_signal(signal.SIGTERM)
            await systemd.until("STOPPING=1", limit=10)
            with anyio.fail_after(15):
                assert await child.wait() == 0, child.tail()
