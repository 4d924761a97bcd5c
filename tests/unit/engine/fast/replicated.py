"""A large table out of little work: every series has the same chunks."""

import numpy as np

from app.demo.xor import encode
from app.engine.select.model import ChunkTable, LabelColumns

STEP = 15_000
CHUNK = 120


def replicated(series: int, samples: int) -> ChunkTable:
    """`m_total`, ten buckets to an `i`; a counter that falls now and then."""
    chunks = [
        encode([(STEP * at, float(at * 3 % 97)) for at in range(first, first + CHUNK)])
        for first in range(0, samples, CHUNK)
    ]
    bounds = np.cumsum([0, *(len(chunk) for chunk in chunks)])
    buckets = [str(2**number) for number in range(9)] + ["+Inf"]
    strings = [
        "__name__",
        "i",
        "le",
        "m_total",
        *buckets,
        *(f"{number:06}" for number in range(series // 10)),
    ]
    values = np.empty((series, 3), np.int32)
    values[:, 0] = 3
    values[:, 1] = 14 + np.arange(series) // 10
    values[:, 2] = 4 + np.arange(series) % 10
    return ChunkTable(
        columns=LabelColumns(strings, np.tile(np.array([0, 1, 2], np.int32), (series, 1)), values),
        data=np.frombuffer(b"".join(chunks) + bytes(16), np.uint8),
        lanes=np.arange(series + 1, dtype=np.int64),
        chunks=np.arange(series + 1, dtype=np.int64) * len(chunks),
        offset=np.tile(bounds[:-1], series),
        length=np.tile(np.diff(bounds), series),
        start=-(1 << 50),
        end=1 << 50,
    )
