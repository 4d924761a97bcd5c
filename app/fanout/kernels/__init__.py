"""Kernels of the Series path: protobuf scanned, merged and written as bytes, no object for a series.

All work on one arena of bytes and on tables of int64 offsets into it. They check every bound: what they
read comes from other processes. A plain Python twin of each is in the tests.

Wire format: SeriesResponse{1 series, 2 warning, 3 hints, 4 batch{1 series}}, Series{1 labels{1 name,
2 value}, 2 chunks}, AggrChunk{1 min_time, 2 max_time, 3..8 Chunk{1 type, 2 data, 3 hash}}, each message
behind gRPC's five-byte prefix.
"""

from app.fanout.kernels.merge import first_unsorted, groups, merge, sort
from app.fanout.kernels.scan import scan, strip
from app.fanout.kernels.tables import (
    BODY_START,
    CHUNK_COLUMNS,
    COLUMNS,
    ENTRY_END,
    ENTRY_START,
    KEY_END,
    KEY_START,
    MALFORMED,
    NO_ROOM,
    OTHER_COLUMNS,
)
from app.fanout.kernels.write import write

__all__ = [
    "BODY_START",
    "CHUNK_COLUMNS",
    "COLUMNS",
    "ENTRY_END",
    "ENTRY_START",
    "KEY_END",
    "KEY_START",
    "MALFORMED",
    "NO_ROOM",
    "OTHER_COLUMNS",
    "first_unsorted",
    "groups",
    "merge",
    "scan",
    "sort",
    "strip",
    "write",
]
