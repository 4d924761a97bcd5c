"""What a selector's series look like before their samples are decoded."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.model import Labels, Series


class LabelColumns(msgspec.Struct, frozen=True):
    """Labels of many series, every string kept once.

    :param strings: the table that `names` and `values` point into.
    :param names: (series, width) int32, in the order of the names' text; -1 past the last label.
    :param values: (series, width) int32, likewise.
    """

    strings: Sequence[str]
    names: NDArray[np.int32]
    values: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.names)

    def of(self, row: int) -> Labels:
        """The labels of one series."""
        return tuple(
            (self.strings[name], self.strings[value])
            for name, value in zip(self.names[row].tolist(), self.values[row].tolist(), strict=True)
            if name >= 0
        )


class ChunkTable(msgspec.Struct, frozen=True):
    """The encoded samples of the series that one selector found, sorted by labels, replicas not yet merged.

    A lane holds chunks of one replica that follow each other without overlap; a series with one lane needs no
    deduplication. Samples outside `[start, end]` may be in the chunks and do not count.

    :param data: (bytes + padding,) uint8; at least 16 bytes follow the last payload.
    :param lanes: (series + 1,) int64; series `i` has the lanes `lanes[i]` to `lanes[i + 1]`.
    :param chunks: (lanes + 1,) int64; lane `j` has the chunks `chunks[j]` to `chunks[j + 1]`, by time.
    :param offset: (chunks,) int64, where the XOR payload begins in `data`; checked to lie within it.
    :param length: (chunks,) int64, bytes.
    :param decoded: series that are not plain XOR chunks (native histograms, downsampled aggregates), by
        position; they have no lanes.
    :param counter: whether the selector's function reads counters, so that merging replicas adjusts resets.
    """

    columns: LabelColumns
    data: NDArray[np.uint8]
    lanes: NDArray[np.int64]
    chunks: NDArray[np.int64]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    start: int
    end: int
    decoded: Mapping[int, Series] = {}
    counter: bool = False
    chain: bool = False
    """Whether replicas are merged one to one by timestamp, instead of by penalty."""

    def __len__(self) -> int:
        return len(self.columns)


class SelectOptions(msgspec.Struct, frozen=True):
    """How a query wants its series, from its parameters and the flags.

    :param replica_labels: left out of the labels, and replicas merged, where `dedup`.
    :param store_matchers: sets of matcher texts on ``__address__``; any set may match; none: all stores.
    :param max_resolution: milliseconds between downsampled samples that will do; 0: raw only.
    :param abort: whether an endpoint that fails fails the query, instead of being a warning.
    :param series_limit: per endpoint and selector, of `--store.limits.request-series`; 0: none.
    :param samples_limit: likewise, of `--store.limits.request-samples`.
    """

    dedup: bool = True
    replica_labels: tuple[str, ...] = ()
    store_matchers: tuple[str, ...] = ()
    max_resolution: int = 0
    abort: bool = False
    chain: bool = False
    series_limit: int = 0
    samples_limit: int = 0
    shard_info: bytes = b""


def described(labels: Labels) -> str:
    """``{__name__="up", job="a"}``, cut where it is very long."""
    text = ", ".join(f'{name}="{value}"' for name, value in labels)
    return f"{{{text[:300]}{'…' if len(text) > 300 else ''}}}"
