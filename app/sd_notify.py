"""What systemd is told of this process, in the protocol of sd_notify(3): state, and signs of life.

Nothing happens where `NOTIFY_SOCKET` is not set. A message that cannot be delivered is logged and forgotten:
the service goes on, and it is for systemd to notice.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping

import anyio
import structlog

LOOK_INTERVAL = 0.25
"""Seconds between two looks at whether the process is ready."""

SEND_LIMIT = 5.0
"""Seconds that a message waits while systemd's queue is full."""

log = structlog.get_logger()


class Notifier:
    """Mutable: whether READY was sent, changed by `run` alone.

    :param address: of a datagram socket: a path, or ``@name`` in the abstract namespace; empty: be silent.
    :param watchdog: seconds within which systemd wants a sign of life; 0: it does not.
    """

    def __init__(self, address: str, watchdog: float = 0.0) -> None:
        self.address = address
        self.watchdog = watchdog
        self._announced = False

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> "Notifier":
        """As systemd asks for it in the environment of its services."""
        address = environment.get("NOTIFY_SOCKET", "")
        if address and address[0] not in "/@":
            log.warning("NOTIFY_SOCKET is neither a path nor abstract: systemd is told nothing", got=address)
            address = ""
        # The variables are inherited: WATCHDOG_PID says whom they mean.
        meant = environment.get("WATCHDOG_PID") in (None, "", str(os.getpid()))
        microseconds = environment.get("WATCHDOG_USEC", "")
        return cls(address, int(microseconds) / 1e6 if meant and microseconds.isdecimal() else 0.0)

    async def run(self, ready: Callable[[], tuple[bool, str]]) -> None:
        """Say READY once, STATUS as it changes, and feed the watchdog, until cancelled.

        It is fed from the event loop, so that a loop that hangs is noticed.

        :param ready: whether the process may be asked; if not, why.
        """
        if not self.address:
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow, ready)
            if self.watchdog:
                tasks.start_soon(self._feed)

    async def _follow(self, ready: Callable[[], tuple[bool, str]]) -> None:
        said = ""
        while True:
            is_ready, reason = ready()
            status = "STATUS=" + ("ready" if is_ready else " ".join(reason.split()))
            if is_ready and not self._announced:
                self._announced = True
                await self._send("READY=1", status)
            elif status != said:
                await self._send(status)
            said = status
            await anyio.sleep(LOOK_INTERVAL)

    async def _feed(self) -> None:
        while True:
            await self._send("WATCHDOG=1")
            await anyio.sleep(self.watchdog / 2)

    async def reloading(self) -> None:
        """Files are read again from now on. Not said while starting, since what ends it is READY."""
        if self._announced:
            await self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    async def reloaded(self) -> None:
        """They were read, whatever came of it."""
        if self._announced:
            await self._send("READY=1")

    async def stopping(self) -> None:
        """The stop has begun."""
        await self._send("STOPPING=1")

    async def _send(self, *assignments: str) -> None:
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                sock.connect(address)
                with anyio.fail_after(SEND_LIMIT):
                    await _send_whole(sock, "\n".join(assignments).encode())
            except OSError as error:  # TimeoutError is one
                log.warning(
                    "systemd cannot be told", what=assignments[0], err=str(error) or "its queue is full"
                )


async def _send_whole(sock: socket.socket, message: bytes) -> None:
    while True:
        try:
            sock.send(message)
            return
        except BlockingIOError:
            await anyio.wait_writable(sock)
