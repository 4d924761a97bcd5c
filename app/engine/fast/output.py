"""Results as the HTTP API and everything else wants them."""

import re
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from app.engine.fast.grid import Grid
from app.engine.fast.labels import FEW, Texts
from app.engine.fast.workers import Workers, shared
from app.engine.kernels.numbers import LONGEST, write_float
from app.engine.kernels.result_json import write_rows, write_times
from app.engine.model import Matrix, Query, Row, Sample, Scalar, Vector
from app.engine.promql.quoting import utf8

_BLOCK = 1 << 18
"""Bytes of JSON at a time."""
_PART_POINTS = 1 << 15
"""Of the rows that one task writes: about a megabyte."""
_LONGEST_TIME = 32
_ESCAPED = re.compile(r'[\x00-\x1f"\\]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_instant(query: Query) -> bool:
    """Whether the result is a vector rather than a matrix."""
    return query.step == 0 and query.start == query.end


def to_value(found: Grid | Scalar, query: Query) -> Matrix | Vector | Scalar:
    """The result as objects. Rows of a matrix are sorted by labels, elements of a vector as they come."""
    if isinstance(found, Scalar):
        return found
    grid = found.compact()
    if is_instant(query):
        return Vector(
            [
                Sample(grid.labels.of(row), value, query.start)
                for row, value in enumerate(grid.values[:, 0].tolist())
            ]
        )
    times = grid.steps.times
    rows = []
    for row in grid.labels.order().tolist():
        present = grid.present[row]
        rows.append(Row(grid.labels.of(row), times[present], grid.values[row][present]))
    return Matrix(rows)


def write_json(found: Grid | Scalar, query: Query, workers: Workers | None = None) -> Iterator[bytes]:
    """The ``result`` of the HTTP API, in parts of a few hundred kilobytes; numbers as Prometheus's.

    :param workers: the threads that write; those of the process unless given.
    """
    if isinstance(found, Scalar):
        yield _scalar(found)
        return
    grid = found.compact()
    writing = _Writing(grid, is_instant(query))
    rows = max(1, _PART_POINTS // grid.steps.count)
    yield b"["
    parts = (workers or shared()).in_order(
        -(-len(grid) // rows), lambda part: writing.rows(part * rows, (part + 1) * rows)
    )
    with closing(parts):
        for part in parts:
            yield from part
    yield b"]"


class _Writing:
    """Immutable; all that the kernel is told about a grid."""

    def __init__(self, grid: Grid, single: bool) -> None:
        self._order = np.arange(len(grid)) if single else grid.labels.order()
        names, ids = grid.labels.names, grid.labels.matrix()
        texts, text_starts, name_ids, ids = _texts(grid.labels.texts, names, ids)
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
        self._single = single

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
    texts: Texts, names: tuple[str, ...], ids: NDArray[np.int32]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Strings in JSON, where each begins, the numbers of the names, and `ids` in the new numbers; 0: none."""
    used, renumbered = _renumbered(ids)
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
