"""The answers of all endpoints to one selector, taken in block by block as they come."""

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine import kernels
from app.engine.budget import Account, Budget
from app.errors import CallError, Code, FailureKind
from app.fanout import kernels as frames
from app.fanout.wire import Other

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]
Numbers = NDArray[np.int32]

_FIRST_ROWS = 256
_FIRST_BYTES = 1 << 14
_NO_KEYS: Bytes = np.empty(0, np.uint8)
"""For the scan: series are put in order by the numbers of their strings, when all of them are known."""


class Intake:
    """Mutable: the blocks of one selector and what was found in them, changed by `add` alone.

    The numbers of strings, labels and chunks are documented where the kernels read them
    (`app.engine.kernels.labels`).

    :param without: names of labels to leave out.
    :param budget: of the query, which it counts against with what is made of it.
    :ivar blocks: as they came; a chunk's `START` counts from the first byte of the first one.
    """

    def __init__(self, without: Sequence[str] = (), budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        self._account = Account(self.budget)
        self.blocks: list[Bytes] = []
        self.size = 0
        """Bytes of all blocks."""
        self.text: Bytes = np.empty(_FIRST_BYTES, np.uint8)
        self.bounds: Offsets = np.zeros(2 * _FIRST_ROWS, np.int64)
        self.slots: Numbers = np.full(4 * _FIRST_ROWS, -1, np.int32)
        self.sizes: Offsets = np.zeros(kernels.SIZES, np.int64)
        self.pairs: Numbers = np.empty((8 * _FIRST_ROWS, 2), np.int32)
        self.pair_bounds: Offsets = np.zeros(_FIRST_ROWS, np.int64)
        self.chunks: Offsets = np.empty((2 * _FIRST_ROWS, kernels.CHUNK_COLUMNS), np.int64)
        self.chunk_bounds: Offsets = np.zeros(_FIRST_ROWS, np.int64)
        self._seed = np.uint64(secrets.randbits(64))
        self._found: Offsets = np.empty((_FIRST_ROWS, frames.COLUMNS), np.int64)
        self._others: Offsets = np.empty((64, frames.OTHER_COLUMNS), np.int64)
        self._cancel: Bytes = np.zeros(1, np.uint8)  # a block takes microseconds
        self._replicas = self._interned(dict.fromkeys(without))

    @property
    def series(self) -> int:
        """How many there are, equal ones of several endpoints counted for each."""
        return int(self.sizes[kernels.SERIES])

    @property
    def chunk_count(self) -> int:
        return int(self.chunk_bounds[self.series])

    @property
    def strings(self) -> int:
        return int(self.sizes[kernels.STRINGS])

    @property
    def memory(self) -> int:
        """Bytes that it takes up, and will when the blocks are put together."""
        arrays = (self.text, self.bounds, self.slots, self.pairs, self.pair_bounds, self.chunks)
        return 2 * self.size + sum(array.nbytes for array in arrays) + self.chunk_bounds.nbytes

    def require(self, more: int = 0) -> None:
        """Count what it takes up by now.

        :param more: bytes that will be needed besides.
        :raises TooMuchMemory: that is more than the query may have.
        """
        self._account.resize(self.memory + more)

    def close(self) -> None:
        """What it held is counted elsewhere from now on."""
        self._account.close()

    def add(self, content: bytes | bytearray) -> list[Other]:
        """Take in framed messages; what is not a series.

        :param content: kept, and not to be changed any more.
        :raises CallError: the messages are not SeriesResponses. Nothing of them is kept then.
        :raises TooMuchMemory: that is more than the query may have.
        """
        held = content if isinstance(content, bytearray) else bytearray(content)
        data: Bytes = np.frombuffer(held, np.uint8)
        count, others = self._scan(data)
        self._read(data, count)
        self.blocks.append(data)
        self.size += data.size
        return [(kind, data[begin:end].tobytes()) for kind, begin, end in others]

    def _scan(self, data: Bytes) -> tuple[int, list[list[int]]]:
        """How many series there are in a block, and where the rest of it is."""
        while True:
            rows, _, others = frames.scan(data, 0, data.size, self._found, 0, _NO_KEYS, 0, self._others)
            if rows == frames.MALFORMED:
                raise _malformed()
            if rows != frames.NO_ROOM:
                return int(rows), self._others[: int(others)].tolist()
            self._found = np.empty((2 * len(self._found), frames.COLUMNS), np.int64)
            self._others = np.empty((2 * len(self._others), frames.OTHER_COLUMNS), np.int64)

    def _read(self, data: Bytes, count: int) -> None:
        ends = [frames.BODY_START, frames.ENTRY_END]
        bodies = np.ascontiguousarray(self._found[:count, ends])
        before, row = self.series, 0
        while row < count:
            row, code = kernels.read_series(
                data, self.size, bodies, row, count, self._replicas, self.text, self.bounds, self.slots,
                self.sizes, self._seed, self.pairs, self.pair_bounds, self.chunks, self.chunk_bounds,
                self._cancel,
            )  # fmt: skip
            if code == kernels.MALFORMED:
                self.sizes[kernels.SERIES] = before
                raise _malformed()
            if code == kernels.NO_ROOM:
                self._grow()

    def _interned(self, names: dict[str, None]) -> int:
        """Make names the first strings; how many there are."""
        for name in names:
            data = np.frombuffer(bytearray(name.encode()), np.uint8)
            while True:
                number = kernels.intern(
                    data, 0, data.size, self.text, self.bounds, self.slots, self.sizes, self._seed
                )
                if number != kernels.NO_ROOM:
                    break
                self._grow()
        return self.strings

    def _grow(self) -> None:
        """Make room where it is short; where none is, one series needs very much: then everywhere."""
        strings, series = self.strings, self.series
        fills = {
            "text": int(self.bounds[strings]),
            "bounds": strings,
            "pairs": int(self.pair_bounds[series]),
            "pair_bounds": series,
            "chunks": int(self.chunk_bounds[series]),
            "chunk_bounds": series,
        }
        short = [name for name, used in fills.items() if 2 * used + 4 > len(getattr(self, name))]
        more = sum(getattr(self, name).nbytes for name in short or fills)
        self.require(2 * more)  # the old one stays until its content is copied
        for name in short or fills:
            setattr(self, name, _doubled(getattr(self, name)))
        if 2 * len(self.bounds) > self.slots.size:
            self.slots = np.full(4 * len(self.bounds), -1, np.int32)
            kernels.refill(self.text, self.bounds, self.slots, self.sizes, self._seed)


def _doubled(array: NDArray[Any]) -> NDArray[Any]:
    grown = np.empty((2 * len(array), *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


def _malformed() -> CallError:
    return CallError(Code.INTERNAL, "the answer is not made of SeriesResponse messages", FailureKind.PROTOCOL)
