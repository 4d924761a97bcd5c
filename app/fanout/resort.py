"""Sorting an endpoint's answer that is not in the order of its labels, within a bound.

Old stores do not leave out replica labels by themselves: the labels are taken out here, which changes the
order. It needs the whole answer before the first series goes on, so it is the slow way, and its size is
limited.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from app.errors import CallError, Code, FailureKind
from app.fanout import kernels
from app.fanout.arena import Arena, Bytes, Offsets
from app.fanout.wire import Other, other_messages

BLOCK_SIZE = 256 * 1024
"""Bytes of the blocks that a sorted answer is handed on in, where its series are not larger."""
BLOCK_SERIES = 64
"""Series to a message of them."""


class Resorter:
    """Mutable: the series collected so far, filled by the stream's reader alone.

    :param without: names of labels to take out.
    :param limit: bytes of the answer, as it came.
    :param flag: what raises the limit.
    """

    def __init__(self, without: Sequence[str], limit: int, flag: str = "--query.resort-buffer") -> None:
        names = [name.encode() for name in without]
        self._names: Bytes = np.frombuffer(b"".join(names), np.uint8)
        self._bounds: Offsets = np.cumsum([len(name) for name in names], dtype=np.int64)
        self._limit = limit
        self._flag = flag
        self._size = 0
        self._arena = Arena()
        self._intake = Arena()
        self._others: list[Other] = []
        self._rows: Offsets = np.empty(0, np.int64)

    def add(self, content: bytes | bytearray) -> None:
        """Collect a block.

        :raises CallError: the answer is malformed or larger than the limit.
        """
        self._size += len(content)
        if self._size > self._limit:
            raise CallError(
                Code.RESOURCE_EXHAUSTED,
                f"its answer has to be sorted here and is larger than {self._limit} bytes"
                f" (raise {self._flag}, or upgrade the endpoint)",
                FailureKind.PROTOCOL,
            )
        if not self._bounds.size:
            _, others = self._arena.add(content)
        else:
            others = self._add_stripped(content)
        self._others.extend(others)

    def _add_stripped(self, content: bytes | bytearray) -> list[Other]:
        intake = self._intake
        block, others = intake.add(content)
        out = np.empty(len(content) + 16 * (block.last - block.first), np.uint8)
        size = kernels.strip(
            intake.data, intake.table, block.first, block.last, self._names, self._bounds, out
        )
        intake.release(())
        self._arena.add(out[: int(size)].tobytes())
        return others

    @property
    def size(self) -> int:
        """Bytes that were added."""
        return self._size

    def sort(self) -> None:
        """Sort all that was collected; slow for a large answer, and without the interpreter's lock."""
        self._rows = np.arange(self._arena.rows, dtype=np.int64)
        never = np.zeros(1, np.uint8)
        kernels.sort(self._arena.table, self._arena.keys, self._rows, np.empty_like(self._rows), never)

    def blocks(self, batch: int = BLOCK_SERIES, limit: int = 0) -> Iterator[bytes]:
        """What was sorted, framed, beginning with what is not a series.

        :param batch: series to a message; below 2: one.
        :param limit: series at most; 0: all.
        """
        if self._others:
            yield b"".join(other_messages(self._others))
        arena, rows = self._arena, self._rows[: limit or None]
        # Each row for itself: the merge puts equal ones together.
        starts = np.arange(rows.size + 1, dtype=np.int64)
        out = np.empty(BLOCK_SIZE, np.uint8)
        no_chunks, nothing = np.empty((1, kernels.CHUNK_COLUMNS), np.int64), np.empty(1, np.int64)
        done = 0
        while done < rows.size:
            size, written, code = kernels.write(
                arena.data, arena.table, rows, starts, done, rows.size, batch, out,
                no_chunks, nothing, nothing,
            )  # fmt: skip
            if code == kernels.NO_ROOM:
                out = np.empty(2 * out.size, np.uint8)
                continue
            done += int(written)
            yield out[: int(size)].tobytes()
