"""The bytes that a merge works on: the current block of each source, in one array, with a table of series.

Kernels take arrays of one type, not a varying number of them; so blocks are copied here once, side by side.
Space is reused: what is live is moved to the front when the end is reached.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.errors import CallError, Code, FailureKind
from app.fanout import kernels
from app.fanout.wire import Other

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FIRST_BYTES = 1 << 18
FIRST_ROWS = 1 << 10


class Block:
    """A scanned block. Mutable: its place in the arena, moved by the arena alone.

    :ivar start, end: of its bytes.
    :ivar first, last: of its rows.
    """

    def __init__(self, start: int, end: int, first: int, last: int, key_start: int, key_end: int) -> None:
        self.start, self.end = start, end
        self.first, self.last = first, last
        self.key_start, self.key_end = key_start, key_end


class Arena:
    """Mutable: three arrays and the blocks in them, changed by one merge alone.

    :ivar data: uint8, the bytes of all blocks.
    :ivar table: int64 (rows, kernels.COLUMNS).
    :ivar keys: uint8, the merge keys.
    :ivar order: int64, the rows that are merged and not yet written; the first `held` are valid.
    """

    def __init__(self) -> None:
        self.data: Bytes = np.empty(FIRST_BYTES, np.uint8)
        self.keys: Bytes = np.empty(FIRST_BYTES, np.uint8)
        self.table: Offsets = np.empty((FIRST_ROWS, kernels.COLUMNS), np.int64)
        self.order: Offsets = np.empty(FIRST_ROWS, np.int64)
        self.held = 0
        self._others: Offsets = np.empty((64, kernels.OTHER_COLUMNS), np.int64)
        self._blocks: list[Block] = []

    def add(self, content: bytes | bytearray) -> tuple[Block, list[Other]]:
        """Take in framed messages.

        :returns: the block, and what is not a series.
        :raises CallError: the messages are not SeriesResponses.
        """
        size = len(content)
        self._make_room(size)
        start = self._blocks[-1].end if self._blocks else 0
        first = self._blocks[-1].last if self._blocks else 0
        key_start = self._blocks[-1].key_end if self._blocks else 0
        self.data[start : start + size] = np.frombuffer(content, np.uint8)
        while True:
            last, key_end, others = kernels.scan(
                self.data, start, start + size, self.table, first, self.keys, key_start, self._others
            )
            if last == kernels.MALFORMED:
                raise CallError(
                    Code.INTERNAL, "the answer is not made of SeriesResponse messages", FailureKind.PROTOCOL
                )
            if last != kernels.NO_ROOM:
                break
            self._grow_tables(size)
        block = Block(start, start + size, first, int(last), key_start, int(key_end))
        self._blocks.append(block)
        found = self._others[: int(others)].tolist()
        return block, [(kind, self.data[begin:end].tobytes()) for kind, begin, end in found]

    @property
    def rows(self) -> int:
        """Behind the last row in use."""
        return self._blocks[-1].last if self._blocks else 0

    def key(self, row: int) -> bytes:
        """The merge key of a series."""
        return self.keys[self.table[row, kernels.KEY_START] : self.table[row, kernels.KEY_END]].tobytes()

    def release(self, current: Sequence[Block | None]) -> None:
        """Forget the blocks that are nobody's current one and have no row in `order`."""
        rows = self.order[: self.held]
        # Rows of a block stand side by side, so the block of a row is found by its first row.
        firsts = np.array([block.first for block in self._blocks], np.int64)
        used = set(np.searchsorted(firsts, rows, side="right").tolist()) if rows.size else set()
        wanted = {id(block) for block in current if block is not None}
        self._blocks = [
            block
            for position, block in enumerate(self._blocks)
            if id(block) in wanted or position + 1 in used
        ]

    def _make_room(self, size: int) -> None:
        end = self._blocks[-1].end if self._blocks else 0
        if end + size <= self.data.size:
            return
        live = sum(block.end - block.start for block in self._blocks)
        if live + size > self.data.size // 2:
            grown = np.empty(max(2 * self.data.size, 2 * (live + size)), np.uint8)
            grown[:end] = self.data[:end]
            self.data = grown
        self._compact()

    def _grow_tables(self, size: int) -> None:
        rows = self._blocks[-1].last if self._blocks else 0
        table = np.empty((2 * self.table.shape[0], kernels.COLUMNS), np.int64)
        table[:rows] = self.table[:rows]
        self.table = table
        used = self._blocks[-1].key_end if self._blocks else 0
        keys = np.empty(max(2 * self.keys.size, used + 2 * size), np.uint8)
        keys[:used] = self.keys[:used]
        self.keys = keys
        self._others = np.empty((2 * self._others.shape[0], kernels.OTHER_COLUMNS), np.int64)

    def _compact(self) -> None:
        """Move all blocks to the front, in their order, and `order` with them."""
        at = row = key_at = 0
        rows_before = self.order[: self.held].copy()
        for block in self._blocks:
            shift, key_shift = block.start - at, block.key_start - key_at
            size, rows, keys = (
                block.end - block.start,
                block.last - block.first,
                block.key_end - block.key_start,
            )
            if shift or key_shift or block.first != row:
                self.data[at : at + size] = self.data[block.start : block.end]
                self.keys[key_at : key_at + keys] = self.keys[block.key_start : block.key_end]
                moved = self.table[block.first : block.last].copy()
                moved[:, : kernels.KEY_START] -= shift
                moved[:, kernels.KEY_START :] -= key_shift
                self.table[row : row + rows] = moved
                inside = (rows_before >= block.first) & (rows_before < block.last)
                self.order[: self.held][inside] += row - block.first
                block.start, block.end = at, at + size
                block.first, block.last = row, row + rows
                block.key_start, block.key_end = key_at, key_at + keys
            at, row, key_at = at + size, row + rows, key_at + keys
