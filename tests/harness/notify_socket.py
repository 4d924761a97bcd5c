"""systemd's end of sd_notify(3)."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class NotifySocket:
    """Immutable: a datagram socket to which a service tells its state.

    :param address: for `NOTIFY_SOCKET`.
    """

    def __init__(self, address: str, sock: socket.socket) -> None:
        self.address = address
        self._sock = sock

    async def receive(self, limit: float = 30.0) -> list[str]:
        """The assignments of the next message.

        :param limit: seconds.
        :raises TimeoutError: there is none.
        """
        with anyio.fail_after(limit):
            while True:
                try:
                    return self._sock.recv(4096).decode().split("\n")
                except BlockingIOError:
                    await anyio.wait_readable(self._sock)

    async def until(self, assignment: str, limit: float = 30.0) -> list[str]:
        """The message that has `assignment`; those before it are dropped.

        :param limit: seconds for all of them.
        :raises TimeoutError: it does not come.
        """
        with anyio.fail_after(limit):
            while assignment not in (message := await self.receive(limit)):
                pass
            return message


@contextmanager
def notify_socket(address: str) -> Iterator[NotifySocket]:
    """Listen at `address`: a path, or ``@name`` in the abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind("\0" + address[1:] if address.startswith("@") else address)
        yield NotifySocket(address, sock)
