"""Samples out of a ChunkTable, for the evaluator that wants them all at hand."""

import numpy as np

from app.engine import kernels
from app.engine.budget import LABEL_BYTES, SERIES_BYTES, Budget
from app.engine.cancelling import Cancelled
from app.engine.model import EvaluationError, Series
from app.engine.select.intake import Bytes, Offsets
from app.engine.select.model import ChunkTable, described

BATCH_SAMPLES = 1 << 20
"""That series are decoded into one pair of arrays for, at most, unless one has more."""


def decode(table: ChunkTable, cancel: Bytes, budget: Budget | None = None) -> list[Series]:
    """All series with their samples in `[table.start, table.end]`, replicas merged. Slow for much, without
    the interpreter's lock.

    :param cancel: (1,) uint8, set to another value than 0 to end this early.
    :param budget: of the query, which the samples count against as long as they live.
    :raises EvaluationError: a chunk cannot be read, or the budget has no room.
    :raises Cancelled:
    """
    budget = budget or Budget()
    budget.take(len(table) * (SERIES_BYTES + LABEL_BYTES * table.columns.names.shape[1]))
    counts: Offsets = np.empty(len(table), np.int64)
    done, code = kernels.count_samples(*_arrays(table), 0, len(table), counts, cancel)
    _check(table, int(done), int(code))
    spare_times, spare_values = spares(table, counts)
    series: list[Series] = []
    behind = np.cumsum(counts)
    while len(series) < len(table):
        low = len(series)
        before = int(behind[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(behind, before + BATCH_SAMPLES, side="right")))
        room = int(behind[high - 1]) - before
        times, values = budget.array((room,), np.int64), budget.array((room,), np.float64)
        ends: Offsets = np.empty(high - low, np.int64)
        done, code = kernels.decode_rows(
            *_arrays(table), low, high, table.start, table.end, mode(table), times, values, ends, spare_times,
            spare_values, cancel,
        )  # fmt: skip
        _check(table, low + int(done), int(code))
        used = int(ends[-1])
        if 4 * used < 3 * room:
            # Replicas were merged: what is kept should not hold on to room for all of them.
            times, values = times[:used].copy(), values[:used].copy()
            budget.adopt(times)
            budget.adopt(values)
        begin = 0
        for row, end in enumerate(ends.tolist(), low):
            found = table.decoded.get(row)
            series.append(found or Series(table.columns.of(row), times[begin:end], values[begin:end]))
            begin = end
    return series


def mode(table: ChunkTable) -> int:
    """How kernels are to merge the lanes of a series."""
    if table.chain:
        return kernels.CHAIN
    return kernels.PENALTY_COUNTER if table.counter else kernels.PENALTY


def spares(
    table: ChunkTable, counts: Offsets
) -> tuple[Offsets, "np.ndarray[tuple[int, int], np.dtype[np.float64]]"]:
    """Scratch of `decode_series` for any series of a table: (2, samples) int64 and float64.

    :param counts: (series,) int64, as `count_samples` finds them.
    """
    merged = np.diff(table.lanes) > 1
    largest = int(counts[merged].max()) if merged.any() else 0
    return np.empty((2, largest), np.int64), np.empty((2, largest), np.float64)


def _arrays(table: ChunkTable) -> tuple[Bytes, Offsets, Offsets, Offsets, Offsets]:
    return table.data, table.lanes, table.chunks, table.offset, table.length


def _check(table: ChunkTable, row: int, code: int) -> None:
    if code == kernels.CANCELLED:
        raise Cancelled
    if code < 0:
        raise EvaluationError(f"a chunk of the series {described(table.columns.of(row))} cannot be read")
