"""The connection reaper: one task that holds the deadlines of all connections of a listener."""

import heapq
import itertools
import time
from typing import Protocol

import anyio
import structlog

log = structlog.get_logger()


class Mortal(Protocol):
    """A connection as the reaper sees it."""

    def deadline(self) -> float | None:
        """Monotonic seconds at which `due` is to be called; None: not at all."""

    def due(self, now: float) -> None:
        """The deadline has come."""


class Reaper:
    """Mutable: a heap of deadlines, grown by `watch` and emptied by `run`.

    A connection has one entry that counts. One whose deadline moves further away keeps its entry, and is
    looked at again then; a call's end moves deadlines, and an entry for each would be memory without bound.
    The heap holds numbers, so that a connection which is gone is not kept until its age would have come.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._watched: dict[int, Mortal] = {}
        self._entries: dict[Mortal, tuple[float, int]] = {}
        self._numbers = itertools.count()
        self._sooner = anyio.Event()

    def watch(self, connection: Mortal) -> None:
        """Take up the connection's deadline, which is new or has changed."""
        at = connection.deadline()
        entry = self._entries.get(connection)
        if at is None or (entry is not None and entry[0] <= at):
            return
        self.forget(connection)
        if not self._heap or at < self._heap[0][0]:
            self._sooner.set()
        number = next(self._numbers)
        self._watched[number] = connection
        self._entries[connection] = at, number
        heapq.heappush(self._heap, (at, number))

    def forget(self, connection: Mortal) -> None:
        """The connection is gone, or gets another entry."""
        entry = self._entries.pop(connection, None)
        if entry is None:
            return
        del self._watched[entry[1]]
        if len(self._heap) > 2 * len(self._watched) + 64:
            self._heap = [each for each in self._heap if each[1] in self._watched]
            heapq.heapify(self._heap)

    async def run(self) -> None:
        """Call what is due, when it is due, until cancelled."""
        while True:
            self._sooner = anyio.Event()
            wait = self._heap[0][0] - time.monotonic() if self._heap else 3600.0
            with anyio.move_on_after(max(0.0, wait)):
                await self._sooner.wait()
            self.reap(time.monotonic())

    def reap(self, now: float) -> None:
        """Call what is due at `now`."""
        while self._heap and self._heap[0][0] <= now:
            number = heapq.heappop(self._heap)[1]
            connection = self._watched.pop(number, None)
            if connection is None:
                continue
            del self._entries[connection]
            at = connection.deadline()
            try:
                if at is not None and at <= now:
                    connection.due(now)
            except Exception:
                # It ends by its own faults, and takes no other connection with it.
                log.exception("ending a connection failed")
                continue
            self.watch(connection)
