"""Series of one shard of a query, for the endpoints that send those of all shards.

Source of the rule: Thanos, pkg/store/storepb/shard_info.go.
"""

import numpy as np
from numpy.typing import NDArray

from app.engine.select.model import LabelColumns
from app.kernels.xxh64 import xxh64
from app.pb.thanos import ShardInfo


def in_shard(columns: LabelColumns, shard: ShardInfo) -> NDArray[np.bool_]:
    """Which series belong to a shard. Of those that an endpoint has chosen already, it is all.

    :returns: (series,) bool.
    """
    named = set(shard.labels)
    wanted = np.empty(len(columns), np.bool_)
    for row in range(len(columns)):
        hashed = b"".join(
            name.encode() + b"\xff" + value.encode() + b"\xff"
            for name, value in columns.of(row)
            if (name in named) == shard.by
        )
        found = int(xxh64(np.frombuffer(bytearray(hashed), np.uint8), 0, len(hashed)))
        wanted[row] = found % shard.total_shards == shard.shard_index
    return wanted
