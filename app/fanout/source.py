"""One endpoint's stream as the merge sees it: blocks on demand, in order, or a failure."""

import math
from collections.abc import Sequence

import anyio
import anyio.to_thread
import numpy as np

from app.endpoints.model import BlockStream, EndpointView
from app.errors import CallError, Code, FailureKind
from app.fanout.arena import Block, Flags, Offsets
from app.fanout.resort import Resorter
from app.rpc.model import Metadata

SERIES = "/thanos.Store/Series"


class Source:
    """Mutable: the block that was fetched last, put there by the reading task and taken by the merge.

    Nothing is read ahead of the merge but what the stream's window lets the endpoint send: that is the
    back-pressure, from the client to every endpoint.

    :param without: replica labels that the endpoint does not leave out by itself; the stream is then
        collected, stripped of them and sorted here.
    """

    def __init__(self, view: EndpointView, *, without: Sequence[str], resort_buffer: int) -> None:
        self.view = view
        self.failure: CallError | None = None
        self.block: Block | None = None
        self.cursor = 0
        """The next row, counted from the block's first."""
        self.ended = False
        self.last_key = b""
        self._resorter = Resorter(without, resort_buffer) if without else None
        self._resort_buffer = resort_buffer
        self._content: bytes | bytearray | None = None
        self._demand = anyio.Event()
        self._ready = anyio.Event()
        self._reading = anyio.CancelScope()
        self._heard = 0.0

    @property
    def resorts(self) -> bool:
        return self._resorter is not None

    # -- the reading task

    async def read(self, request: bytes, *, timeout: float | None, metadata: Metadata, window: int) -> None:
        """Call the endpoint and hand over its blocks as they are wanted, until the end or a failure."""
        with self._reading:
            await self._read(request, timeout, metadata, window)

    async def _read(self, request: bytes, timeout: float | None, metadata: Metadata, window: int) -> None:
        try:
            async with self.view.channel.stream(
                SERIES, request, timeout=timeout, metadata=metadata, window=window
            ) as stream:
                while True:
                    await self._demand.wait()
                    self._demand = anyio.Event()
                    content = await stream.next_block()
                    if self._resorter is not None:
                        await self._collect(content, stream, self._resorter)
                        break
                    self._hand_over(content)
                    if content is None:
                        return
            await anyio.to_thread.run_sync(self._resorter.sort)
            for block in self._resorter.blocks():
                self._hand_over(block)
                await self._demand.wait()
                self._demand = anyio.Event()
            self._hand_over(None)
        except CallError as error:
            self.failure = error
            self._hand_over(None)

    async def _collect(
        self, content: bytes | bytearray | None, stream: BlockStream, resorter: Resorter
    ) -> None:
        while content is not None:
            resorter.add(content)
            self._heard = anyio.current_time()
            content = await stream.next_block()

    def _hand_over(self, content: bytes | bytearray | None) -> None:
        self._content = content
        self._ready.set()

    # -- the merge

    def want(self) -> None:
        """Ask for the next block; the one before is consumed."""
        self._demand.set()

    def resort(self, content: bytes | bytearray) -> None:
        """Collect the rest of the stream, beginning with a block whose series turned out not to be sorted.

        :raises CallError: it is too large.
        """
        self._resorter = Resorter((), self._resort_buffer)
        self._resorter.add(content)

    def stop(self) -> None:
        """Cancel the call, if it is still under way."""
        self._reading.cancel()

    async def fetched(self, timeout: float, deadline: float) -> bytes | bytearray | None:
        """The block that was asked for; None at the end.

        :param timeout: seconds that the endpoint may be silent while it is waited for; infinity: no limit.
        :param deadline: on the loop's clock, `timeout` after the block was asked for.
        :raises CallError: the endpoint failed, or did not send in time.
        """
        while not self._ready.is_set():
            left = max(deadline, self._heard + timeout) - anyio.current_time()
            if left <= 0:
                raise CallError(
                    Code.DEADLINE_EXCEEDED,
                    f"failed to receive any data in {timeout:g} s from {self.view.address}",
                    FailureKind.TIMEOUT,
                )
            with anyio.move_on_after(None if left == math.inf else left):
                await self._ready.wait()
        self._ready = anyio.Event()
        if self.failure is not None:
            raise self.failure
        content, self._content = self._content, None
        return content


def cursors(sources: Sequence[Source]) -> tuple[Offsets, Offsets, Flags]:
    """Next row, end row and finality of each source, for the merge kernel."""
    count = len(sources)
    at, end, final = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.bool_)
    for position, source in enumerate(sources):
        final[position] = source.ended
        if source.block is not None:
            at[position] = source.block.first + source.cursor
            end[position] = source.block.last
    return at, end, final
