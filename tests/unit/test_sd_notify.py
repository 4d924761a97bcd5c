"""Messages of sd_notify(3), to a real socket."""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from app import sd_notify
from app.sd_notify import Notifier
from tests.harness import NotifySocket, notify_socket

pytestmark = pytest.mark.anyio


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[NotifySocket]:
    with notify_socket(str(tmp_path / "notify")) as listening:
        yield listening


class Gate:
    """Mutable: what the process says of its readiness."""

    def __init__(self) -> None:
        self.open, self.reason = False, "not all endpoints\nhave been asked yet"

    def __call__(self) -> tuple[bool, str]:
        return self.open, self.reason


async def test_ready_is_said_once_and_status_as_it_changes(systemd: NotifySocket) -> None:
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Notifier(systemd.address).run, gate)
        assert await systemd.receive() == ["STATUS=not all endpoints have been asked yet"]
        gate.open = True
        assert await systemd.receive() == ["READY=1", "STATUS=ready"]
        gate.open, gate.reason = False, "Prometheus does not answer"
        assert await systemd.receive() == ["STATUS=Prometheus does not answer"]
        gate.open = True
        assert await systemd.receive() == ["STATUS=ready"]
        with pytest.raises(TimeoutError):
            await systemd.receive(3 * sd_notify.LOOK_INTERVAL)
        tasks.cancel_scope.cancel()


async def test_an_abstract_address() -> None:
    with notify_socket(f"@crossrealm-{uuid.uuid4()}") as systemd:
        await Notifier(systemd.address).stopping()
        assert await systemd.receive() == ["STOPPING=1"]


async def test_reloading_says_since_when(systemd: NotifySocket) -> None:
    notifier, gate = Notifier(systemd.address), Gate()
    gate.open = True
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(notifier.run, gate)
        await systemd.until("READY=1")
        before = time.monotonic_ns() // 1000
        await notifier.reloading()
        await notifier.reloaded()
        reloading, since = await systemd.receive()
        assert reloading == "RELOADING=1"
        assert before <= int(since.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
        assert await systemd.receive() == ["READY=1"]
        tasks.cancel_scope.cancel()


async def test_a_reload_does_not_end_the_start(systemd: NotifySocket) -> None:
    notifier = Notifier(systemd.address)
    await notifier.reloading()
    await notifier.reloaded()
    await notifier.stopping()
    assert await systemd.receive() == ["STOPPING=1"]


@pytest.mark.alone
async def test_the_watchdog_is_fed_twice_in_its_time(systemd: NotifySocket) -> None:
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Notifier(systemd.address, watchdog=0.4).run, gate)
        await systemd.until("WATCHDOG=1")
        started = time.monotonic()
        for _ in range(5):
            await systemd.until("WATCHDOG=1", limit=5)
        assert 0.9 <= time.monotonic() - started < 2.0
        tasks.cancel_scope.cancel()


async def test_a_loop_that_hangs_feeds_no_watchdog(systemd: NotifySocket) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Notifier(systemd.address, watchdog=0.1).run, Gate())
        await systemd.until("WATCHDOG=1")
        time.sleep(0.5)  # noqa: ASYNC251
        with pytest.raises(TimeoutError):
            await systemd.receive(0)
        tasks.cancel_scope.cancel()


async def test_a_full_queue_is_waited_for(systemd: NotifySocket) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as crowd:
        crowd.setblocking(False)
        queued = 0
        with pytest.raises(BlockingIOError):
            while True:
                crowd.sendto(b"STATUS=crowd", systemd.address)
                queued += 1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Notifier(systemd.address).stopping)
        for _ in range(queued):
            assert await systemd.receive() == ["STATUS=crowd"]
        assert await systemd.receive() == ["STOPPING=1"]


async def test_a_queue_that_stays_full_holds_nobody(
    systemd: NotifySocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sd_notify, "SEND_LIMIT", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as crowd:
        crowd.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                crowd.sendto(b"STATUS=crowd", systemd.address)
    with capture_logs() as logs:
        await Notifier(systemd.address).stopping()
    assert [(each["what"], each["err"]) for each in logs] == [("STOPPING=1", "its queue is full")]


async def test_without_systemd_nothing_is_said(tmp_path: Path) -> None:
    with capture_logs() as logs:
        notifier = Notifier.of_environment({})
        with anyio.fail_after(5):
            await notifier.run(Gate())
        await notifier.stopping()
        assert logs == []
        await Notifier(str(tmp_path / "nobody")).stopping()
    assert [each["what"] for each in logs] == ["STOPPING=1"]


@pytest.mark.parametrize(
    ("environment", "watchdog"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_of_the_environment(environment: dict[str, str], watchdog: float) -> None:
    notifier = Notifier.of_environment({"NOTIFY_SOCKET": "/run/notify", **environment})
    assert (notifier.address, notifier.watchdog) == ("/run/notify", watchdog)


def test_an_address_of_another_kind_is_said() -> None:
    with capture_logs() as logs:
        assert Notifier.of_environment({"NOTIFY_SOCKET": "vsock:2:1234"}).address == ""
    assert logs[0]["got"] == "vsock:2:1234"
