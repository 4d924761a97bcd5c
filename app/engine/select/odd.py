"""Series that are not made of plain XOR chunks alone: downsampled aggregates and native histograms."""

from collections.abc import Sequence

import msgspec

from app.engine.model import Labels, Series
from app.engine.select.intake import Bytes
from app.pb.thanos import Aggr


class Purpose(msgspec.Struct, frozen=True):
    """What a table is for.

    :param start, end: samples that count, milliseconds since the epoch, both inclusive.
    :param aggregates: what stands in for raw samples where a store has downsampled ones only.
    :param apart: whether chunks that overlap are of different replicas, which are to be merged.
    :param counter: whether merging adjusts them, being counters.
    """

    start: int
    end: int
    aggregates: tuple[Aggr, ...] = (Aggr.COUNT, Aggr.SUM)
    apart: bool = True
    counter: bool = False
    chain: bool = False


OddLane = list[tuple[bool, int, int]]
"""Chunks of one replica, by time: whether it is plain, where its bytes begin, and how many they are."""


def decode_odd(data: Bytes, lanes: Sequence[OddLane], labels: Labels, purpose: Purpose) -> Series:
    """The samples of one series."""
    raise NotImplementedError
