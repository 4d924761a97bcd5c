"""Label sets out of the answer of a Series call, as the fan-out sends it."""

from collections.abc import Iterator, Sequence

import anyio.to_thread
import msgspec

from app.errors import CallError, Code
from app.fanout.arena import Arena
from app.fanout.wire import WARNING

PREFIX = 5
LARGE = 64 * 1024
"""Bytes from which on messages are read in a thread."""
_END, _ZERO, _ESCAPED = b"\0\1", b"\0", b"\0\xff"


class LabelSets:
    """Mutable: what has arrived; one request's, filled by `receive`.

    Series are kept as their merge keys (`app.kernels.keys`), which compare as their labels do.

    :param limit: of series of one call, beyond which it fails; 0: none.
    """

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self._count = 0
        self._pending = bytearray()
        self._arena = Arena()
        self._keys: dict[bytes, None] = {}
        self.warnings: list[str] = []

    def begin(self) -> None:
        """Another call begins; equal series of different calls are one."""
        self._count = 0

    async def receive(self, frames: Sequence[bytes | bytearray | memoryview]) -> None:
        """Framed SeriesResponse messages, cut anywhere.

        :raises CallError: there are more series than the limit allows.
        """
        for frame in frames:
            self._pending += frame
        whole = self._whole()
        content = bytes(self._pending[:whole])
        del self._pending[:whole]
        if len(content) < LARGE:
            self._read(content)
        else:
            await anyio.to_thread.run_sync(self._read, content)

    def _whole(self) -> int:
        """Bytes of `_pending` that are whole messages."""
        at = 0
        while at + PREFIX <= len(self._pending):
            end = at + PREFIX + int.from_bytes(self._pending[at + 1 : at + PREFIX], "big")
            if end > len(self._pending):
                break
            at = end
        return at

    def _read(self, content: bytes) -> None:
        if not content:
            return
        block, others = self._arena.add(content)
        self._count += block.last - block.first
        if 0 < self._limit < self._count:
            raise CallError(
                Code.RESOURCE_EXHAUSTED,
                f"exceeded the limit of {self._limit} series (--store.limits.request-series)",
            )
        for row in range(block.first, block.last):
            self._keys[self._arena.key(row)] = None
        self._arena.release(())
        for kind, text in others:
            if kind == WARNING:
                self.warnings.append(text.decode("utf-8", "replace"))

    def sorted(self, limit: int) -> tuple[list[bytes], bool]:
        """Keys in order, at most `limit` (0: all), and whether there are more."""
        keys = sorted(self._keys)
        return (keys[:limit], True) if 0 < limit < len(keys) else (keys, False)


def series_json(keys: Sequence[bytes]) -> Iterator[bytes]:
    """A list of label sets, in pieces."""
    yield b"["
    for position, key in enumerate(keys):
        parts = [part.replace(_ESCAPED, _ZERO).decode("utf-8", "replace") for part in key.split(_END)]
        found = msgspec.json.encode(dict(zip(parts[0:-1:2], parts[1::2], strict=True)))
        yield b"," + found if position else found
    yield b"]"
