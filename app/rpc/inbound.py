"""The bytes of one response between the wire and its reader, with the stream's flow control window.

Messages are not taken apart here: a reader gets all that are complete in one piece, each behind its
five-byte gRPC prefix (one byte of flags, four of length).
"""

import asyncio
from collections import deque
from collections.abc import Callable

from app.errors import CallError, Code, FailureKind

PREFIX_SIZE = 5
BLOCK_SIZE = 512 * 1024
"""Bytes after which a block ends, with the message before: large enough to read in bulk, small enough that a
reader which copies it does not hold the whole window twice."""


class InboundBuffer:
    """Mutable: received bytes and the window, fed by the protocol and emptied by one reader.

    The window is returned when the reader asks for more, so that a reader that stops makes its peer stop,
    and no other. A message that is larger than the window is let in as it comes, up to the size limit.

    :param window: bytes that the peer may send ahead of the reader.
    :param max_message_size: bytes of one message.
    :param grant: lets the peer send so many more bytes.
    """

    def __init__(self, window: int, max_message_size: int, grant: Callable[[int], None]) -> None:
        self._window = window
        self._max_message_size = max_message_size
        self._grant = grant
        self._credit = window
        self._data = bytearray()
        """What was received behind the last block."""
        self._wanted = PREFIX_SIZE
        """How long `_data` is to be before it has a complete message."""
        self._blocks: deque[bytearray] = deque()
        self._held = 0
        self._consumed = 0
        self._advanced = 0
        self.messages = 0
        """How many have come."""
        self.compressed = False
        """Whether one of them was compressed: blocks then have to be decompressed."""
        self._ended = False
        self._failure: CallError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # -- the protocol's side

    def feed(self, data: memoryview, flow_controlled: int) -> bool:
        """Take in the payload of a DATA frame; False when the peer sent more than its window.

        :param flow_controlled: bytes that count against the window: `data` and its padding.
        """
        self._credit -= flow_controlled
        if self._credit < 0:
            return False
        self._data += data
        if len(self._data) >= max(BLOCK_SIZE, self._wanted):
            self._close_block()
        padding = flow_controlled - len(data)
        if padding:
            self._consumed += padding
        self._wake()
        return True

    def widen(self, size: int) -> None:
        """The peer was granted so many more bytes, for good."""
        self._window += size
        self._credit += size

    def end(self) -> None:
        """The peer has sent all."""
        self._ended = True
        self._wake()

    def fail(self, failure: CallError) -> None:
        """Nothing more will come. What is complete can still be read, and an answer that has ended is."""
        if self._failure is None and not self._ended:
            self._failure = failure
        self._wake()

    def unacked_size(self) -> int:
        """grpclib asks, to return the window of what was never read; ours was returned on receipt."""
        return 0

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- the reader's side

    async def next_block(self) -> bytearray | None:
        """Complete messages that have arrived, at least one, about `BLOCK_SIZE` at most; None at the end.

        The block before counts as consumed.

        :raises CallError: the stream failed, or a message is too large or cut short.
        """
        self.release()
        while True:
            if not self._blocks and len(self._data) >= self._wanted:
                self._close_block()
            if self._blocks:
                block = self._blocks.popleft()
                self._held = len(block)
                return block
            if self._failure is not None:
                raise self._failure
            if self._ended:
                if self._data:
                    raise CallError(
                        Code.INTERNAL, "the answer ended in the middle of a message", FailureKind.PROTOCOL
                    )
                return None
            self._let_message_in()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def release(self) -> None:
        """The reader is done with the last block: return its window."""
        if self._held:
            repaid = min(self._held, self._advanced)
            self._advanced -= repaid
            self._consumed += self._held - repaid
            self._held = 0
        if self._consumed * 4 >= self._window:
            self._return(self._consumed)
            self._consumed = 0

    def _return(self, size: int) -> None:
        self._credit += size
        if not self._ended and self._failure is None:
            self._grant(size)

    def _close_block(self) -> None:
        """Put the complete messages aside as a block; only the one that is cut is copied."""
        end = self._scan()
        if end:
            rest = self._data[end:]
            del self._data[end:]
            self._blocks.append(self._data)
            self._data = rest

    def _scan(self) -> int:
        """The end of the last complete message; sets how long the bytes behind it have to be, and the failure
        where they are no message."""
        data, position, size = self._data, 0, len(self._data)
        self._wanted = PREFIX_SIZE
        while size - position >= PREFIX_SIZE:
            length = int.from_bytes(data[position + 1 : position + PREFIX_SIZE], "big")
            fault = self._fault(data[position], length)
            if fault is not None:
                self._failure = self._failure or fault
                break
            if size - position - PREFIX_SIZE < length:
                self._wanted = PREFIX_SIZE + length
                break
            if data[position]:
                self.compressed = True
            self.messages += 1
            position += PREFIX_SIZE + length
        return position

    def _fault(self, flags: int, length: int) -> CallError | None:
        """What is wrong with a message, by its prefix."""
        if flags > 1:
            return CallError(Code.INTERNAL, f"a message has flags {flags:#x}", FailureKind.PROTOCOL)
        if length > self._max_message_size:
            reason = f"a message of {length} bytes is larger than the limit of {self._max_message_size}"
            return CallError(Code.RESOURCE_EXHAUSTED, reason, FailureKind.PROTOCOL)
        return None

    def _let_message_in(self) -> None:
        """Where one message is larger than what is left of the window, lend it the rest."""
        if self._consumed and self._credit * 2 < self._window:
            self._return(self._consumed)
            self._consumed = 0
        missing = self._wanted - len(self._data) - self._credit
        if missing > 0:
            self._advanced += missing
            self._return(missing)
