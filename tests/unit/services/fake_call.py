"""A ServerCall in memory, for handlers under test."""

from collections.abc import Sequence

import anyio

from app.rpc.model import Metadata, Peer


class FakeCall:
    """Mutable: messages to hand out and messages sent; the test reads the latter.

    :param requests: what the client sends, in order.
    """

    def __init__(self, *requests: bytes, method: str = "/test.Service/Method") -> None:
        self.method = method
        self.metadata: Metadata = {}
        self.peer = Peer(address="127.0.0.1:1", tls=None)
        self.remaining: float | None = None
        self.sent: list[bytes] = []
        self._requests = list(requests)
        self._sent_more = anyio.Event()

    async def receive(self) -> bytes | None:
        return self._requests.pop(0) if self._requests else None

    async def send(self, message: bytes) -> None:
        self.sent.append(message)
        self._sent_more.set()
        self._sent_more = anyio.Event()

    async def send_framed(self, frames: Sequence[bytes | bytearray | memoryview]) -> None:
        await self.send(b"".join(frames))

    async def wait_sent(self, count: int) -> None:
        """Return once `count` messages were sent; fails after 5 s."""
        with anyio.fail_after(5):
            while len(self.sent) < count:
                await self._sent_more.wait()
