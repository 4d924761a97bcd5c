"""The k-way merge of the endpoints' streams into the messages that the client gets.

One loop. The merge kernel runs until a source has nothing left; what is merged by then is written out in
whole batches; the source's next block is waited for; and so on. A group of equal series is written when a
larger one has been seen, or when nothing more can come.
"""

import math
from collections.abc import Awaitable, Callable, Sequence

import anyio
import numpy as np

from app.errors import CallError, Code, FailureKind
from app.fanout import kernels
from app.fanout.arena import Arena, Block, Bytes, Offsets
from app.fanout.metrics import FanoutMetrics
from app.fanout.partial import Warnings, name_of
from app.fanout.source import Source, cursors
from app.fanout.wire import WARNING, Other, framed, warning

Send = Callable[[Sequence[bytes | bytearray | memoryview]], Awaitable[None]]

WRITE_SIZE = 256 * 1024
"""Bytes that are written before they are sent."""


class Merge:
    """Mutable: the arena, the sources' cursors and what is written, used by one request's task.

    :param batch: series to a message, as the client asked; below 2: one a message.
    :param limit: series at most; 0 is no limit.
    :param response_timeout: seconds that one endpoint is waited for; 0 is no limit.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        batch: int,
        limit: int,
        response_timeout: float,
        warnings: Warnings,
        send: Send,
        metrics: FanoutMetrics,
    ) -> None:
        self._sources = list(sources)
        self._batch = batch
        self._left = limit or math.inf
        self.written = 0
        """Series."""
        self._timeout = response_timeout or math.inf
        self._warnings = warnings
        self._send = send
        self._metrics = metrics
        self._arena = Arena()
        self._out: Bytes = np.empty(WRITE_SIZE, np.uint8)
        self._starts: Offsets = np.empty(self._arena.order.size + 1, np.int64)
        self._chunks: Offsets = np.empty((256, kernels.CHUNK_COLUMNS), np.int64)
        self._picked: Offsets = np.empty(256, np.int64)
        self._scratch: Offsets = np.empty(256, np.int64)
        self._last_written = b""
        self._others: list[bytes] = []

    async def run(self) -> None:
        """Merge until all sources have ended.

        :raises CallError: the client wants all or nothing, and something is missing.
        """
        await self._fetch(self._sources)
        while self._left > 0:
            needs = self._merge()
            if needs == -1:
                await self._write(all_of_it=True)
                return
            await self._write(all_of_it=False)
            if needs >= 0:
                await self._fetch([self._sources[needs]])

    # -- blocks in

    async def _fetch(self, sources: Sequence[Source]) -> None:
        self._arena.release([source.block for source in self._sources if source not in sources])
        for source in sources:
            source.want()
        deadline = anyio.current_time() + self._timeout
        for source in sources:
            others: list[Other] = []
            try:
                others = self._take(source, await source.fetched(self._timeout, deadline))
            except CallError as error:
                self._failed(source, error)
            # Not under the `try`: what a warning does under ABORT is no failure of the endpoint.
            for kind, found in others:
                if kind == WARNING:
                    self._warnings.add(found.decode("utf-8", "replace"))
                else:
                    self._others.append(framed(found))
        await self._send_warnings()

    def _take(self, source: Source, content: bytes | bytearray | None) -> list[Other]:
        """Make a block the source's current one; what is beside the series in it."""
        source.cursor = 0
        source.block = None
        if content is None:
            source.ended = True
            return []
        block, others = self._arena.add(content)
        if not self._in_order(source, block):
            self._resort(source, block, content)
            return []
        source.block = block
        return others

    def _in_order(self, source: Source, block: Block) -> bool:
        if block.first == block.last:
            return True
        arena = self._arena
        if kernels.first_unsorted(arena.table, arena.keys, block.first, block.last) >= 0:
            return False
        if arena.key(block.first) < source.last_key:
            return False
        source.last_key = arena.key(block.last - 1)
        return True

    def _resort(self, source: Source, block: Block, content: bytes | bytearray) -> None:
        """Collect a block that is not in order and all that follows it, unless it comes too late: what the
        client gets is in order, so a series smaller than one that was merged has no place any more.

        :raises CallError: it comes too late. What follows and is too small as well is found when the
            collected series come back as blocks.
        """
        newest = self._newest()
        if source.resorts or min(self._arena.key(row) for row in range(block.first, block.last)) < newest:
            raise CallError(
                Code.INTERNAL,
                "its series are not in the order of their labels, noticed too late to sort them here"
                " (the endpoint has to be upgraded or its external labels corrected)",
                FailureKind.PROTOCOL,
            )
        source.resort(content)
        source.last_key = newest
        self._metrics.resorted.labels(source.view.group).inc()

    def _newest(self) -> bytes:
        """The largest key that was merged so far."""
        arena = self._arena
        return arena.key(int(arena.order[arena.held - 1])) if arena.held else self._last_written

    def _failed(self, source: Source, error: CallError) -> None:
        source.ended = True
        source.block = None
        source.stop()
        self._metrics.failures.labels(source.view.group, "Series").inc()
        self._warnings.add(f"receive series from {name_of(source.view)}: {error}")

    async def _send_warnings(self) -> None:
        texts = self._warnings.take()
        others, self._others = self._others, []
        if texts or others:
            await self._send([*(warning(text) for text in texts), *others])

    # -- series out

    def _merge(self) -> int:
        """Merge what is there; the source that needs a block, -1 at the end, -2 when `order` is full."""
        at, end, final = cursors(self._sources)
        arena = self._arena
        heap = np.empty(len(self._sources), np.int64)
        held, needs = kernels.merge(arena.table, arena.keys, at, end, final, heap, arena.order, arena.held)
        arena.held = int(held)
        for position, source in enumerate(self._sources):
            if source.block is not None:
                source.cursor = int(at[position]) - source.block.first
        return int(needs)

    async def _write(self, *, all_of_it: bool) -> None:
        """Write the groups that are complete: all but the last one, and whole batches only, unless it is the
        end or there is no room for more."""
        arena = self._arena
        if not arena.held:
            return
        if self._starts.size <= arena.held:
            self._starts = np.empty(2 * arena.order.size + 1, np.int64)
        count = int(kernels.groups(arena.table, arena.keys, arena.order, arena.held, self._starts))
        complete = count if all_of_it else count - 1
        if not all_of_it:
            complete -= complete % max(1, self._batch)
        complete = int(min(complete, self._left))
        done = 0
        while done < complete:
            size, written, code = kernels.write(
                arena.data,
                arena.table,
                arena.order,
                self._starts,
                done,
                complete,
                self._batch,
                self._out,
                self._chunks,
                self._picked,
                self._scratch,
            )
            if code == kernels.MALFORMED:
                raise CallError(Code.INTERNAL, "chunks of a series could not be read", FailureKind.PROTOCOL)
            if code == kernels.NO_ROOM:
                self._grow()
                continue
            done += int(written)
            await self._send([self._out[: int(size)].data])
            self._metrics.sent_bytes.inc(int(size))
        self._forget(done)
        if arena.held == arena.order.size:
            self._grow_order()

    def _forget(self, groups: int) -> None:
        """The first `groups` groups of `order` are written."""
        if not groups:
            return
        arena = self._arena
        self._left -= groups
        self.written += groups
        self._metrics.series.inc(groups)
        first = int(self._starts[groups])
        self._last_written = arena.key(int(arena.order[first - 1]))
        arena.order[: arena.held - first] = arena.order[first : arena.held].copy()
        arena.held -= first

    def _grow(self) -> None:
        self._out = np.empty(2 * self._out.size, np.uint8)
        rows = 2 * self._picked.size
        self._chunks = np.empty((rows, kernels.CHUNK_COLUMNS), np.int64)
        self._picked = np.empty(rows, np.int64)
        self._scratch = np.empty(rows, np.int64)

    def _grow_order(self) -> None:
        order = np.empty(2 * self._arena.order.size, np.int64)
        order[: self._arena.held] = self._arena.order[: self._arena.held]
        self._arena.order = order
