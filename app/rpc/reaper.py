"""The connection reaper: one task that holds the deadlines of all connections of a listener."""

import heapq
import itertools
import time
from typing import Protocol

import anyio


class Mortal(Protocol):
    """A connection as the reaper sees it."""

    def deadline(self) -> float | None:
        """Monotonic seconds at which `due` is to be called; None: not at all."""

    def due(self, now: float) -> None:
        """The deadline has come."""


class Reaper:
    """Mutable: a heap of deadlines, grown by `watch` and emptied by `run`.

    A connection whose deadline moves is pushed again; the entry before it finds nothing due.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Mortal]] = []
        self._order = itertools.count()
        self._sooner = anyio.Event()

    def watch(self, connection: Mortal) -> None:
        """Take up the connection's deadline, which is new or has changed."""
        at = connection.deadline()
        if at is None:
            return
        if not self._heap or at < self._heap[0][0]:
            self._sooner.set()
        heapq.heappush(self._heap, (at, next(self._order), connection))

    async def run(self) -> None:
        """Call what is due, when it is due, until cancelled."""
        while True:
            self._sooner = anyio.Event()
            wait = self._heap[0][0] - time.monotonic() if self._heap else 3600.0
            with anyio.move_on_after(max(0.0, wait)):
                await self._sooner.wait()
            now = time.monotonic()
            while self._heap and self._heap[0][0] <= now:
                connection = heapq.heappop(self._heap)[2]
                at = connection.deadline()
                if at is None:
                    continue
                if at <= now:
                    connection.due(now)
                self.watch(connection)
