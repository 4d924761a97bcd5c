"""Kernels of the sidecar: remote-read frames in, StoreAPI messages out, no object for a series.

They check every bound: what they read comes from another process. A plain Python twin is in the tests.
"""

from app.sidecar.kernels.order import group, order
from app.sidecar.kernels.read import frames, in_shard, read
from app.sidecar.kernels.sampled import chunked, encode, members, samples
from app.sidecar.kernels.tables import (
    CHUNK_COLUMNS,
    DECIDED_COLUMNS,
    FRAME_COLUMNS,
    LABEL_COLUMNS,
    MALFORMED,
    NO_ROOM,
    OUT_OF_ORDER,
    SERIES_COLUMNS,
    TOO_LARGE,
    UNKNOWN_ENCODING,
)
from app.sidecar.kernels.write import write

__all__ = [
    "CHUNK_COLUMNS",
    "DECIDED_COLUMNS",
    "FRAME_COLUMNS",
    "LABEL_COLUMNS",
    "MALFORMED",
    "NO_ROOM",
    "OUT_OF_ORDER",
    "SERIES_COLUMNS",
    "TOO_LARGE",
    "UNKNOWN_ENCODING",
    "chunked",
    "encode",
    "frames",
    "group",
    "in_shard",
    "members",
    "order",
    "read",
    "samples",
    "write",
]
