"""A remote read's frames turned into the messages of a Series call, as they arrive."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import google_crc32c
import msgspec
import numpy as np
import numpy.typing as npt

from app.endpoints.model import Labels
from app.errors import CallError, Code, FailureKind
from app.fanout.wire import varint
from app.sidecar import kernels

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

FRAME_LIMIT = 50 * 1024 * 1024
"""Bytes of one frame; Prometheus's own reader has the same limit."""
ROUND = 128 * 1024
"""Bytes that are collected before they are translated: each round has a fixed cost."""
PIECE = 3 * 1024 * 1024
"""Bytes of chunks from which on one series goes out in several messages of it: many clients take messages of
4 MiB at most."""
OUT_SIZE = 256 * 1024
FIRST = 16 * 1024
"""Bytes of an answer that the first tables are for. Most are small, and untouched memory is dear."""
SAMPLES_PER_CHUNK = 120
"""As the limit on samples counts them, here as in Thanos."""


class Shard(msgspec.Struct, frozen=True):
    """The part of the series that is asked for: those whose hash modulo `total` is `index`.

    :param by: the labels that are hashed are these; False: all others.
    """

    index: int
    total: int
    by: bool
    labels: tuple[str, ...]


class TranslationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param external: labels to add; they replace the series' own.
    :param without: names of labels to leave out, external or not.
    :param batch: series to a message; below 2: one.
    :param limit: series after which the answer ends; 0: no limit.
    :param max_series, max_chunks: beyond which the call fails; 0: no limit.
    :param hold: bytes that series may take up which wait for smaller ones.
    """

    external: Labels = ()
    without: tuple[str, ...] = ()
    batch: int = 0
    limit: int = 0
    max_series: int = 0
    max_chunks: int = 0
    hold: int = 64 * 1024 * 1024
    shard: Shard | None = None


class OutOfOrder(CallError):
    """A series came after larger ones had gone out: it has an external label's name of its own."""


class Translation:
    """Mutable: what has arrived and is not translated yet, and what waits; used by one call's task.

    Memory is bounded by a round (`ROUND`, or one frame) and by the series that wait for smaller ones, which
    are very few (see `kernels.order`).

    :param in_order: False: what goes out is sorted elsewhere.
    """

    def __init__(self, options: TranslationOptions, *, in_order: bool = True) -> None:
        self._in_order = in_order
        self._options = options
        shard = options.shard
        front, self._decided, self._shard_names = _front(
            options.external, options.without, shard.labels if shard else ()
        )
        self._begin = len(front)
        self._end = self._begin
        self._data: Bytes = np.empty(self._begin + FIRST, np.uint8)
        self._data[: self._begin] = np.frombuffer(front, np.uint8)
        self._table: Offsets = np.empty((self._data.size // 8 + 2, kernels.FRAME_COLUMNS), np.int64)
        self._out: Bytes = np.empty(FIRST, np.uint8)
        self._checked = 0
        self._last_key: Bytes = np.empty(0, np.uint8)
        self._make_tables(FIRST)
        self.frames = self.series = self.chunks = self.bytes = 0

    def add(self, content: bytes) -> bool:
        """Take in what has arrived; whether there is enough for `translated`."""
        size = len(content)
        self.bytes += size
        self._room(size)
        self._data[self._end : self._end + size] = np.frombuffer(content, np.uint8)
        self._end += size
        return self._end - self._begin >= ROUND

    @property
    def done(self) -> bool:
        """Whether so many series have gone out as were asked for."""
        return 0 < self._options.limit <= self.series

    def translated(self, *, final: bool) -> Iterator[memoryview]:
        """Framed messages of what can go out now. Each is to be consumed before the next is asked for.

        :param final: nothing comes any more.
        :raises CallError: the frames are not what they should be, or a limit is exceeded.
        """
        if not final and self._keys.size < ROUND:
            self._make_tables(ROUND)
            self._out = np.empty(OUT_SIZE, np.uint8)
        count, behind = self._frames(final=final)
        rows = self._read(count)
        groups, group_count = self._groups(rows)
        out, waiting = self._ordered(groups, group_count, final=final)
        going = len(out)
        if self._options.limit:
            going = min(going, self._options.limit - self.series)
        yield from self._written(groups, out, going)
        if going:
            last = int(groups[out[going - 1], 0])
            self._last_key = self._keys[self._series[last, 6] : self._series[last, 7]].copy()
        self._keep(groups, waiting, behind)

    # -- one step after the other

    def _frames(self, *, final: bool) -> tuple[int, int]:
        """Whole frames, their checksums compared."""
        table = self._table
        count, behind, code = kernels.frames(self._data, self._begin, self._end, FRAME_LIMIT, table)
        if code == kernels.TOO_LARGE:
            raise _broken(f"a frame is larger than {FRAME_LIMIT} bytes, or no frame at all")
        if final and behind != self._end:
            raise _broken("it ended within a frame")
        for start, end, checksum in table[self._checked : count, 1:].tolist():
            if google_crc32c.value(self._data[start:end].tobytes()) != checksum:
                raise _broken("a frame does not have the checksum that came with it")
        self.frames += count - self._checked
        return int(count), int(behind)

    def _read(self, count: int) -> int:
        while True:
            rows, code, encoding = kernels.read(
                self._data,
                self._table,
                0,
                count,
                self._decided,
                self._series,
                self._labels,
                self._chunks,
                self._keys,
            )
            if code != kernels.NO_ROOM:
                break
            self._make_tables(4 * self._keys.size)
        if code == kernels.UNKNOWN_ENCODING:
            raise CallError(
                Code.UNIMPLEMENTED,
                f"Prometheus sent chunks of encoding {encoding}, which the StoreAPI has no name for"
                " (known are XOR and the two histogram encodings); switch off the feature of Prometheus that"
                " writes them",
            )
        if code == kernels.MALFORMED:
            raise _broken("a frame is not a ChunkedReadResponse")
        return int(rows)

    def _groups(self, rows: int) -> tuple[Offsets, int]:
        wanted = np.ones(rows, np.bool_)
        shard = self._options.shard
        if shard is not None:
            largest = int((self._series[:rows, 7] - self._series[:rows, 6]).max(initial=0))
            scratch = np.empty(largest + 16, np.uint8)
            kernels.in_shard(
                self._data, self._series, rows, self._labels, self._shard_names, shard.by, shard.total,
                shard.index, scratch, wanted,
            )  # fmt: skip
        groups: Offsets = np.empty((rows, 2), np.int64)
        return groups, int(kernels.group(self._data, self._series, rows, PIECE, wanted, groups))

    def _ordered(self, groups: Offsets, count: int, *, final: bool) -> tuple[Offsets, Offsets]:
        """Positions in `groups` of those that go out now, and of those that wait."""
        if not self._in_order:
            # The last one may go on in the next frame.
            going = count if final else max(0, count - 1)
            return np.arange(going), np.arange(going, count)
        stack, out = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
        sent, waiting, code = kernels.order(
            self._series, self._keys, groups, count, self._last_key, final, stack, out
        )
        if code == kernels.OUT_OF_ORDER:
            raise OutOfOrder(
                Code.UNAVAILABLE,
                "series carry a label of their own under the name of an external label, or of a replica label"
                " that is left out, and this was not known when the call began; ask again",
            )
        return out[:sent], np.sort(stack[:waiting])

    def _written(self, groups: Offsets, out: Offsets, going: int) -> Iterator[memoryview]:
        first = 0
        self._count(groups[out[:going]])
        while first < going:
            size, first, code = kernels.write(
                self._data, self._series, self._labels, self._chunks, groups, out, first, going,
                self._options.batch, self._out,
            )  # fmt: skip
            if code == kernels.NO_ROOM:
                self._out = np.empty(2 * self._out.size, np.uint8)
                continue
            first = int(first)
            yield self._out[: int(size)].data

    def _count(self, going: Offsets) -> None:
        """Count what goes out.

        :raises CallError: it is more than the limits of the sidecar allow.
        """
        options = self._options
        self.series += len(going)
        # Rows of one group stand side by side, and so do their chunks.
        self.chunks += int((self._series[going[:, 1] - 1, 5] - self._series[going[:, 0], 4]).sum())
        if options.max_series and self.series > options.max_series:
            raise CallError(
                Code.RESOURCE_EXHAUSTED,
                f"exceeded the limit of {options.max_series} series (--store.limits.request-series)",
            )
        if options.max_chunks and self.chunks > options.max_chunks:
            raise CallError(
                Code.RESOURCE_EXHAUSTED,
                f"exceeded the limit of {options.max_chunks * SAMPLES_PER_CHUNK} samples"
                " (--store.limits.request-samples)",
            )

    def _keep(self, groups: Offsets, waiting: Offsets, behind: int) -> None:
        """Move what waits, and the beginning of a frame, to the front."""
        bodies = self._series[:, 10:12]
        kept = [
            _reframed(self._data[start:end].tobytes())
            for first, last in groups[waiting].tolist()
            for start, end in bodies[first:last].tolist()
        ]
        front = b"".join(kept)
        if len(front) > self._options.hold:
            raise CallError(
                Code.RESOURCE_EXHAUSTED,
                f"series that wait for their place take up more than {self._options.hold} bytes"
                " (raise --sidecar.resort-buffer)",
            )
        rest = self._data[behind : self._end].copy()
        at = self._begin + len(front)
        self._end = self._begin
        self._room(len(front) + rest.size)
        self._data[self._begin : at] = np.frombuffer(front, np.uint8)
        self._data[at : at + rest.size] = rest
        self._end = at + rest.size
        self._checked = len(kept)

    def _room(self, size: int) -> None:
        """Room for `size` bytes more."""
        if self._end + size > self._data.size:
            grown: Bytes = np.empty(max(4 * self._data.size, self._end + 2 * size), np.uint8)
            grown[: self._end] = self._data[: self._end]
            self._data = grown
            # A frame has five bytes at least, one with a series in it more.
            self._table = np.empty((grown.size // 8 + 2, kernels.FRAME_COLUMNS), np.int64)

    def _make_tables(self, size: int) -> None:
        """Tables for rounds of about `size` bytes; larger ones make larger tables."""
        self._keys: Bytes = np.empty(size, np.uint8)
        self._series: Offsets = np.empty((size // 64, kernels.SERIES_COLUMNS), np.int64)
        self._labels: Offsets = np.empty((size // 8, kernels.LABEL_COLUMNS), np.int64)
        self._chunks: Offsets = np.empty((size // 32, kernels.CHUNK_COLUMNS), np.int64)


@lru_cache
def _front(
    external: Labels, without: tuple[str, ...], named: tuple[str, ...]
) -> tuple[bytes, Offsets, Offsets]:
    """What stands before the data: the texts of names that are decided here and of those that `named` a
    shard, and where each is. The same for most calls; nobody writes to it.
    """
    names = _decided(external, without)
    texts = [text.encode() for name, value, _ in names for text in (name, value)]
    texts += [name.encode() for name in named]
    bounds = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    spans = np.stack([bounds[:-1], bounds[1:]], axis=1)
    count = len(names)
    decided: Offsets = np.zeros((count, kernels.DECIDED_COLUMNS), np.int64)
    decided[:, :4] = spans[: 2 * count].reshape(count, 4)
    decided[:, 4] = [added for _, _, added in names]
    shard_names: Offsets = np.zeros((len(texts) - 2 * count, kernels.LABEL_COLUMNS), np.int64)
    shard_names[:, :2] = spans[2 * count :]
    return b"".join(texts), decided, shard_names


def _decided(external: Labels, without: Sequence[str]) -> list[tuple[str, str, int]]:
    """Names that are not the series' own to decide, sorted as bytes: name, value, whether it is added."""
    found = {name: (name, value, 1) for name, value in external}
    found.update((name, (name, "", 0)) for name in without)
    return sorted(found.values(), key=lambda each: each[0].encode())


def _broken(what: str) -> CallError:
    return CallError(Code.INTERNAL, f"the remote read of Prometheus is broken: {what}", FailureKind.PROTOCOL)


def _reframed(series: bytes) -> bytes:
    """A ChunkedSeries in a frame of its own. Its checksum is never looked at."""
    message = b"\x0a" + varint(len(series)) + series
    return varint(len(message)) + bytes(4) + message
