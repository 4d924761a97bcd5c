"""From what the endpoints answered to the table that queries are evaluated on."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine import kernels
from app.engine.budget import LABEL_BYTES, SERIES_BYTES, STORED_HISTOGRAM_BYTES, Budget
from app.engine.cancelling import Cancelled
from app.engine.model import Series
from app.engine.select.intake import Bytes, Intake, Numbers, Offsets
from app.engine.select.model import ChunkTable, LabelColumns
from app.engine.select.odd import OddLane, Purpose, decode_odd
from app.engine.select.sharding import in_shard
from app.fanout import kernels as frames
from app.pb.thanos import ShardInfo

STRING_BYTES = 60
"""That a string takes up beside its characters."""


class _Groups(msgspec.Struct, frozen=True):
    """Equal series side by side.

    :param rows: (series,) int64, positions of series in the order of their labels.
    :param starts: (groups + 1,) int64, where each group begins in `rows`.
    """

    rows: Offsets
    starts: Offsets
    columns: LabelColumns


class _Lanes(msgspec.Struct, frozen=True):
    """As a ChunkTable has them, with the kind of each chunk."""

    lanes: Offsets
    chunks: Offsets
    offset: Offsets
    length: Offsets
    kind: Offsets


def assemble(intake: Intake, purpose: Purpose, cancel: Bytes) -> ChunkTable:
    """Sort and group what was taken in, which is used up. Slow for much, without the interpreter's lock.

    :param cancel: (1,) uint8, set to another value than 0 to end this early.
    :raises Cancelled:
    :raises TooMuchMemory: the query may not have so much.
    :raises EvaluationError: a chunk that is not plain cannot be read.
    """
    intake.require(_scratch(intake))
    groups = _grouped(intake, cancel)
    if purpose.shard is not None and purpose.shard.total_shards > 0:
        groups = _sharded(groups, purpose.shard)
    data = _laid_out(intake)
    found = _split(intake, groups, data, purpose.apart, cancel)
    decoded: dict[int, Series] = {}
    if found.kind.any():
        found, decoded = _without_odd(found, data, groups.columns, purpose, cancel, intake.budget)
    intake.close()
    columns = groups.columns
    for array in (
        data,
        columns.names,
        columns.values,
        found.lanes,
        found.chunks,
        found.offset,
        found.length,
    ):
        intake.budget.adopt(array)
    intake.budget.take(intake.strings * STRING_BYTES + int(intake.bounds[intake.strings]))
    return ChunkTable(
        columns=columns,
        data=data,
        lanes=found.lanes,
        chunks=found.chunks,
        offset=found.offset,
        length=found.length,
        start=purpose.start,
        end=purpose.end,
        decoded=decoded,
        counter=purpose.counter,
        chain=purpose.chain,
    )


def _scratch(intake: Intake) -> int:
    """Bytes that are needed to sort and to split, beside what was taken in."""
    words = intake.strings * (frames.COLUMNS + 4) + intake.series * 8 + intake.chunk_count * 10
    return 8 * words + intake.strings * STRING_BYTES + 2 * int(intake.bounds[intake.strings])


def _grouped(intake: Intake, cancel: Bytes) -> _Groups:
    count = intake.series
    strings, ranks = _sorted_strings(intake, cancel)
    widths: Offsets = np.empty(count, np.int64)
    width = int(kernels.rank_pairs(intake.pairs, intake.pair_bounds, count, ranks, widths, cancel))
    rows: Offsets = np.arange(count, dtype=np.int64)
    scratch = np.empty_like(rows)
    if width < 0 or kernels.sort_series(intake.pairs, intake.pair_bounds, widths, rows, scratch, cancel):
        raise Cancelled
    starts: Offsets = np.empty(count + 1, np.int64)
    groups = int(kernels.group_series(intake.pairs, intake.pair_bounds, widths, rows, starts))
    intake.require(_scratch(intake) + 2 * groups * width * np.dtype(np.int32).itemsize)
    names: Numbers = np.empty((groups, width), np.int32)
    values: Numbers = np.empty((groups, width), np.int32)
    if kernels.fill_columns(intake.pairs, intake.pair_bounds, widths, rows, starts, names, values, cancel):
        raise Cancelled
    return _Groups(rows, starts[: groups + 1], LabelColumns(strings, names, values))


def _sharded(groups: _Groups, shard: ShardInfo) -> _Groups:
    wanted = in_shard(groups.columns, shard)
    sizes = np.diff(groups.starts)
    names, values = groups.columns.names[wanted], groups.columns.values[wanted]
    return _Groups(
        groups.rows[np.repeat(wanted, sizes)],
        np.concatenate(([0], np.cumsum(sizes[wanted]))),
        LabelColumns(groups.columns.strings, names, values),
    )


def _sorted_strings(intake: Intake, cancel: Bytes) -> tuple[list[str], Numbers]:
    """All strings in their order, and the place of each in it."""
    count = intake.strings
    table: Offsets = np.zeros((count, frames.COLUMNS), np.int64)
    table[:, frames.KEY_START] = intake.bounds[:count]
    table[:, frames.KEY_END] = intake.bounds[1 : count + 1]
    order: Offsets = np.arange(count, dtype=np.int64)
    frames.sort(table, intake.text, order, np.empty_like(order), cancel)
    if cancel[0]:
        raise Cancelled
    ranks: Numbers = np.empty(count, np.int32)
    ranks[order] = np.arange(count, dtype=np.int32)
    text = intake.text[: intake.bounds[count]].tobytes()
    spans = table[order, frames.KEY_START : frames.KEY_END + 1].tolist()
    if text.isascii():
        plain = text.decode()
        return [plain[begin:end] for begin, end in spans], ranks
    return [text[begin:end].decode("utf-8", "replace") for begin, end in spans], ranks


def _laid_out(intake: Intake) -> Bytes:
    """The blocks end to end, and what loads may read past the last payload. Each block is let go of."""
    data: Bytes = np.empty(intake.size + kernels.PADDING, np.uint8)
    data[intake.size :] = 0
    at = 0
    blocks = intake.blocks
    blocks.reverse()
    while blocks:
        block = blocks.pop()
        data[at : at + block.size] = block
        at += block.size
    return data


def _split(intake: Intake, groups: _Groups, data: Bytes, apart: bool, cancel: Bytes) -> _Lanes:
    count, series = intake.chunk_count, len(groups.columns)
    lanes: Offsets = np.empty(series + 1, np.int64)
    bounds: Offsets = np.empty(count + 1, np.int64)
    order, *scratch = (np.empty(count, np.int64) for _ in range(5))
    kept = int(
        kernels.split(
            data, intake.chunks, intake.chunk_bounds, groups.rows, groups.starts, series, apart, lanes,
            bounds, order, *scratch, cancel,
        )
    )  # fmt: skip
    if kept < 0:
        raise Cancelled
    chunks = intake.chunks[order[:kept]]
    return _Lanes(
        lanes=lanes,
        chunks=bounds[: lanes[series] + 1].copy(),
        offset=chunks[:, kernels.START].copy(),
        length=chunks[:, kernels.LENGTH].copy(),
        kind=chunks[:, kernels.KIND].copy(),
    )


def _without_odd(
    found: _Lanes, data: Bytes, columns: LabelColumns, purpose: Purpose, cancel: Bytes, budget: Budget
) -> tuple[_Lanes, dict[int, Series]]:
    """Decode the series that have other chunks than plain ones, and take their lanes out."""
    odd_chunks = np.concatenate(([0], np.cumsum(found.kind != kernels.PLAIN)))
    per_series = odd_chunks[found.chunks[found.lanes]]
    odd = np.flatnonzero(per_series[1:] > per_series[:-1])
    decoded: dict[int, Series] = {}
    for row in odd.tolist():
        if cancel[0]:
            raise Cancelled
        lanes = []
        for lane in range(int(found.lanes[row]), int(found.lanes[row + 1])):
            inside = slice(int(found.chunks[lane]), int(found.chunks[lane + 1]))
            lanes.append(OddLane(found.kind[inside], found.offset[inside], found.length[inside]))
        decoded[row] = made = decode_odd(data, lanes, columns.of(row), purpose)
        size = made.times.nbytes + made.values.nbytes + STORED_HISTOGRAM_BYTES * len(made.histograms)
        budget.take(size + SERIES_BYTES + LABEL_BYTES * columns.names.shape[1])
    return _taken_out(found, odd), decoded


def _taken_out(found: _Lanes, rows: NDArray[np.intp]) -> _Lanes:
    """Without the lanes of some series."""
    lane_counts = np.diff(found.lanes)
    keep_series = np.ones(len(lane_counts), np.bool_)
    keep_series[rows] = False
    keep_lanes = np.repeat(keep_series, lane_counts)
    chunk_counts = np.diff(found.chunks)
    keep_chunks = np.repeat(keep_lanes, chunk_counts)
    return _Lanes(
        lanes=np.concatenate(([0], np.cumsum(np.where(keep_series, lane_counts, 0)))),
        chunks=np.concatenate(([0], np.cumsum(chunk_counts[keep_lanes]))),
        offset=found.offset[keep_chunks],
        length=found.length[keep_chunks],
        kind=found.kind[keep_chunks],
    )
