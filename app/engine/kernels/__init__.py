"""Kernels of the engine's way from gRPC frames to samples: arrays in, arrays out.

They check every bound: what they read comes from other processes. A plain Python twin of each is in the
tests.
"""

from app.engine.kernels.labels import (
    fill_columns,
    group_series,
    intern,
    rank_pairs,
    read_series,
    refill,
    sort_series,
)
from app.engine.kernels.lanes import split
from app.engine.kernels.penalty import chain_merge, penalty_merge, remove_resets
from app.engine.kernels.series import count_samples, decode_lane, decode_rows, decode_series
from app.engine.kernels.tables import (
    CANCELLED,
    CHAIN,
    CHUNK_COLUMNS,
    FARTHEST,
    KIND,
    LENGTH,
    MALFORMED,
    MAX_TIME,
    MIN_TIME,
    NO_ROOM,
    OTHER,
    PENALTY,
    PENALTY_COUNTER,
    PLAIN,
    SERIES,
    SIZES,
    START,
    STRINGS,
)
from app.engine.kernels.xor import PADDING, decode_chunk, sample_count

__all__ = [
    "CANCELLED",
    "CHAIN",
    "CHUNK_COLUMNS",
    "FARTHEST",
    "KIND",
    "LENGTH",
    "MALFORMED",
    "MAX_TIME",
    "MIN_TIME",
    "NO_ROOM",
    "OTHER",
    "PADDING",
    "PENALTY",
    "PENALTY_COUNTER",
    "PLAIN",
    "SERIES",
    "SIZES",
    "START",
    "STRINGS",
    "chain_merge",
    "count_samples",
    "decode_chunk",
    "decode_lane",
    "decode_rows",
    "decode_series",
    "fill_columns",
    "group_series",
    "intern",
    "penalty_merge",
    "rank_pairs",
    "read_series",
    "refill",
    "remove_resets",
    "sample_count",
    "sort_series",
    "split",
]
