"""A transport that writes once in a turn of the event loop, whatever is written to it meanwhile."""

import asyncio
from typing import Any

HOLD = 64 * 1024
"""Bytes that are written at once: waiting for more of them would save nothing."""


class CorkedTransport(asyncio.Transport):
    """Mutable: what is to be written at the end of this turn.

    The headers, the only message and the trailers of a small call come from three places, and would be three
    records of TLS, three system calls and three times that the other side wakes up.

    What is held counts as part of the transport's write buffer. `close` writes it first, `abort`
    throws it away, as they do with that.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._later = asyncio.get_running_loop().call_soon
        self._held: list[bytes | bytearray | memoryview] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._held:
            if len(data) >= HOLD:
                self._transport.write(data)
                return
            self._later(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._size >= HOLD:
            self.flush()

    def flush(self) -> None:
        """Write what is held now."""
        held = self._held
        if held:
            self._held, self._size = [], 0
            if not self._transport.is_closing():  # it was lost meanwhile
                self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + self._size

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self._held, self._size = [], 0
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._transport.get_write_buffer_limits()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def is_reading(self) -> bool:
        return self._transport.is_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._transport.get_protocol()

    def can_write_eof(self) -> bool:
        return self._transport.can_write_eof()

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()
