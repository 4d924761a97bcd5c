"""Results as the HTTP API and everything else wants them."""

import re
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from app.engine.budget import Budget
from app.engine.fast import natives
from app.engine.fast.grid import Grid
from app.engine.fast.labels import FEW, Texts
from app.engine.fast.natives import NativeGrid
from app.engine.fast.workers import Workers, shared
from app.engine.kernels.numbers import LONGEST, write_float
from app.engine.kernels.result_json import write_rows, write_times
from app.engine.model import Matrix, Query, Row, Sample, Scalar, Vector
from app.engine.promql.quoting import utf8

_BLOCK = 1 << 18
"""Bytes of JSON at a time."""
_PART = 1 << 20
"""Bytes that one task writes, about."""
_POINT_JSON = 30
"""Bytes of a point, about."""
_POINT_BYTES, _ROW_BYTES, _TEXT_BYTES = 40, 500, 50
"""That a point, a row beside its points, and a string beside its characters take up as objects."""
_LONGEST_TIME = 32
_ESCAPED = re.compile(r'[\x00-\x1f"\\]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_instant(query: Query) -> bool:
    """Whether the result is a vector rather than a matrix."""
    return query.step == 0 and query.start == query.end


def to_value(
    found: Grid | NativeGrid | Scalar, query: Query, budget: Budget | None = None
) -> Matrix | Vector | Scalar:
    """The result as objects. Rows of a matrix are sorted by labels, elements of a vector as they come.

    :raises TooMuchMemory: the budget has no room for them.
    """
    if isinstance(found, Scalar):
        return found
    if isinstance(found, NativeGrid):
        return natives.to_value(found, query, budget or Budget(), single=is_instant(query))
    order, _ = _ordered(found, query)
    (budget or Budget()).take(_POINT_BYTES * found.held() + _ROW_BYTES * len(order))
    if is_instant(query):
        values = found.values[:, 0].tolist()
        return Vector([Sample(found.labels.of(row), values[row], query.start) for row in order.tolist()])
    times = found.steps.times
    rows = []
    for row in order.tolist():
        present = found.present[row]
        rows.append(Row(found.labels.of(row), times[present], found.values[row][present]))
    return Matrix(rows)


def _ordered(grid: Grid, query: Query) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Rows that have any value, in the order in which they are handed out, and how many values each has."""
    counts = np.count_nonzero(grid.present, axis=1)
    order = np.arange(len(grid)) if is_instant(query) else grid.labels.order()
    return order[counts[order] > 0], counts


def write_json(
    found: Grid | Scalar, query: Query, workers: Workers | None = None, budget: Budget | None = None
) -> Iterator[bytes]:
    """The ``result`` of the HTTP API, in parts of a few hundred kilobytes; numbers as Prometheus's.

    :param workers: the threads that write; those of the process unless given.
    :raises TooMuchMemory: the budget has no room for the labels in JSON; before anything is handed out.
    """
    if isinstance(found, Scalar):
        yield _scalar(found)
        return
    writing = _Writing(found, query, budget or Budget())
    yield b"["
    starts = writing.parts()
    parts = (workers or shared()).in_order(
        len(starts) - 1, lambda part: writing.rows(starts[part], starts[part + 1])
    )
    with closing(parts):
        for part in parts:
            yield from part
    yield b"]"


class _Writing:
    """Immutable; all that the kernel is told about a grid."""

    def __init__(self, grid: Grid, query: Query, budget: Budget) -> None:
        self._order, self._counts = _ordered(grid, query)
        names, ids = grid.labels.names, grid.labels.matrix()
        texts, text_starts, name_ids, ids = _texts(grid.labels.texts, names, ids, budget)
        budget.adopt(texts)
        self._heads = _sizes(ids, text_starts, name_ids)
        values = np.ascontiguousarray(grid.values)
        self._columns = (
            values.view(np.uint64),
            grid.present.view(np.uint8),
            name_ids,
            ids,
            texts,
            text_starts,
        )
        self._times = _times(grid)
        self._single = is_instant(query)

    def parts(self) -> list[int]:
        """Where in the order each part begins, and where the last one ends. No part is much larger than
        `_PART`, unless a single row is."""
        sizes = self._heads[self._order] + _POINT_JSON * self._counts[self._order]
        behind = np.cumsum(sizes)
        starts = [0]
        while starts[-1] < len(sizes):
            before = int(behind[starts[-1] - 1]) if starts[-1] else 0
            end = int(np.searchsorted(behind, before + _PART, side="right"))
            starts.append(max(end, starts[-1] + 1))
        return starts

    def rows(self, first: int, last: int) -> list[bytes]:
        """Elements of the result, with the comma that sets them apart from those before."""
        state = np.array([first, -1, 0], np.int64)
        limit = min(last, len(self._order))
        out = np.empty(_BLOCK, np.uint8)
        written: list[bytes] = []
        while state[0] < limit:
            size = write_rows(self._order, limit, *self._columns, *self._times, self._single, state, out)
            if size:
                written.append(out[:size].tobytes())
            else:
                out = np.empty(2 * out.size, np.uint8)  # for labels longer than any that were met so far
        return written


def _times(grid: Grid) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    times = grid.steps.times
    out = np.empty(len(times) * _LONGEST_TIME, np.uint8)
    starts = np.empty(len(times) + 1, np.int64)
    write_times(times, out, starts)
    return out, starts


def _texts(
    texts: Texts, names: tuple[str, ...], ids: NDArray[np.int32], budget: Budget
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Strings in JSON, where each begins, the numbers of the names, and `ids` in the new numbers; 0: none."""
    used, renumbered = _renumbered(ids)
    # Escapes may make them longer, which is counted when it is known.
    budget.require(2 * sum(len(texts.text(number)) + _TEXT_BYTES for number in used))
    parts = [quoted_json(texts.text(number)) for number in used]
    parts += [quoted_json(name) for name in names]
    starts = np.fromiter(accumulate(map(len, parts), initial=0), np.int64, len(parts) + 1)
    content = np.frombuffer(b"".join(parts), np.uint8)
    name_ids = np.arange(len(used), len(used) + len(names), dtype=np.int32)
    return content, starts, name_ids, renumbered


def _renumbered(ids: NDArray[np.int32]) -> tuple[list[int], NDArray[np.int32]]:
    """The numbers that occur, 0 first, and where each stands among them."""
    if ids.size <= FEW:  # np.unique takes longer to begin than this takes
        used = sorted({0, *ids.reshape(-1).tolist()})
        places = {number: place for place, number in enumerate(used)}
        return used, np.array([[places[number] for number in row] for row in ids.tolist()], np.int32).reshape(
            ids.shape
        )
    distinct, inverse = np.unique(np.append(ids.reshape(-1), 0), return_inverse=True)
    return distinct.tolist(), inverse[:-1].reshape(ids.shape).astype(np.int32)


def _sizes(ids: NDArray[np.int32], starts: NDArray[np.int64], names: NDArray[np.int32]) -> NDArray[np.int64]:
    """(rows,) bytes of the labels of each row, about."""
    lengths = np.diff(starts)
    sizes = np.full(len(ids), _TEXT_BYTES, np.int64)
    for column in range(ids.shape[1]):
        sizes += lengths[ids[:, column]] + lengths[names[column]]
    return sizes


def quoted_json(text: str) -> bytes:
    """As the JSON encoder of Prometheus escapes: only what must be, and no other short forms."""
    if _ESCAPED.search(text):
        text = _ESCAPED.sub(lambda found: _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}", text)
    return f'"{utf8(text)}"'.encode()


def _scalar(scalar: Scalar) -> bytes:
    times, time_starts = np.empty(_LONGEST_TIME, np.uint8), np.empty(2, np.int64)
    write_times(np.array([scalar.time], np.int64), times, time_starts)
    out = np.empty(LONGEST, np.uint8)
    written = write_float(out, 0, np.array([scalar.value]).view(np.uint64)[0])
    return times[: time_starts[1]].tobytes() + out[:written].tobytes() + b'"]'
