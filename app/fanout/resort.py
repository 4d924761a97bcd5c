"""Sorting an endpoint's answer that is not in the order of its labels, within a bound.

Old stores do not leave out replica labels by themselves: the labels are taken out here, which changes the
order. It needs the whole answer, so it is the slow way, and its size is limited.
"""

from collections.abc import Iterator, Sequence

from app.errors import CallError, Code, FailureKind
from app.fanout.arena import Arena
from app.fanout.wire import batch_messages, label_name, message_fields, varint

BLOCK_SERIES = 256


class Resorter:
    """Mutable: the series collected so far, filled by the stream's reader alone.

    :param without: names of labels to take out.
    :param limit: bytes of all entries.
    """

    def __init__(self, without: Sequence[str], limit: int) -> None:
        self._without = frozenset(name.encode() for name in without)
        self._limit = limit
        self._size = 0
        self._entries: list[tuple[bytes, bytes]] = []
        self._others: list[bytes] = []

    def add(self, content: bytes | bytearray) -> None:
        """Collect a block.

        :raises CallError: the answer is malformed or larger than the limit.
        """
        self._size += len(content)
        if self._size > self._limit:
            raise CallError(
                Code.RESOURCE_EXHAUSTED,
                f"its answer has to be sorted here and is larger than {self._limit} bytes"
                " (raise --query.resort-buffer, or upgrade the endpoint)",
                FailureKind.PROTOCOL,
            )
        arena = Arena()
        block, others = arena.add(content)
        self._others.extend(batch_messages([], 0, others))
        if not self._without:
            rows = range(block.first, block.last)
            self._entries.extend((arena.key(row), arena.entry(row)) for row in rows)
            return
        stripped = list(
            batch_messages([self._strip(arena.entry(row)) for row in range(block.first, block.last)], 0)
        )
        again, _ = (arena := Arena()).add(b"".join(stripped))
        self._entries.extend((arena.key(row), arena.entry(row)) for row in range(again.first, again.last))

    def blocks(self) -> list[bytes]:
        """All that was collected, framed, sorted by merge key; it is forgotten here."""
        entries, self._entries = self._entries, []
        entries.sort(key=lambda entry: entry[0])
        found = list(self._others)
        for start in range(0, len(entries), BLOCK_SERIES):
            found.extend(batch_messages([entry for _, entry in entries[start : start + BLOCK_SERIES]], 2))
        return found

    def _strip(self, entry: bytes) -> bytes:
        """A series entry without the labels that are to go."""
        body = b"".join(self._kept(entry))
        return b"\x0a" + varint(len(body)) + body

    def _kept(self, entry: bytes) -> Iterator[bytes]:
        (_, body, _), *_ = message_fields(entry)
        for number, value, raw in message_fields(body):
            if number != 1 or label_name(value) not in self._without:
                yield raw
