"""Compiling the kernels: a small merge through all of them, with the types of the real ones."""

import numpy as np

from app.fanout import kernels
from app.fanout.arena import Arena
from app.fanout.resort import Resorter
from app.fanout.wire import field, framed


def _entry(value: bytes) -> bytes:
    label = field(1, b"name") + field(2, value)
    chunk = b"\x08\x01\x10\x02" + field(3, field(2, b"data"))
    return field(1, field(1, label) + field(2, chunk))


def compile_kernels() -> None:
    """Idempotent; what was compiled by an earlier process is loaded from numba's cache."""
    arena = Arena()
    content = framed(field(4, _entry(b"a") + _entry(b"b") + _entry(b"b")))
    block, _ = arena.add(content)
    kernels.first_unsorted(arena.table, arena.keys, block.first, block.last)
    heap = np.empty(1, np.int64)
    at, end = np.array([block.first]), np.array([block.last])
    held, _ = kernels.merge(arena.table, arena.keys, at, end, np.ones(1, np.bool_), heap, arena.order, 0)
    starts = np.empty(arena.order.size + 1, np.int64)
    count = int(kernels.groups(arena.table, arena.keys, arena.order, int(held), starts))
    resorter = Resorter(["name"], 1 << 20)
    resorter.add(content)
    resorter.sort()
    list(resorter.blocks())
    kernels.write(
        arena.data,
        arena.table,
        arena.order,
        starts,
        0,
        count,
        64,
        np.empty(4096, np.uint8),
        np.empty((16, 5), np.int64),
        np.empty(16, np.int64),
        np.empty(16, np.int64),
    )
