"""Snapshots in use. A channel is closed when no request holds a snapshot that shows it."""

import anyio

from app.endpoints.model import Snapshot


class SnapshotLease:
    """Mutable: whether it is released, by leaving the context. Belongs to one request."""

    def __init__(self, book: "LeaseBook", number: int, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._book = book
        self._number = number
        self._held = True

    def __enter__(self) -> Snapshot:
        return self.snapshot

    def __exit__(self, *exc: object) -> None:
        if self._held:
            self._held = False
            self._book.released(self._number)


class LeaseBook:
    """Mutable: how many leases each snapshot has; `take` and the leases alone change it.

    Snapshots are numbered as they are made. An endpoint is in all snapshots from the first that shows it to
    the last, so its leases are those of a range of numbers; nothing is counted per endpoint.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._waiting: list[tuple[range, anyio.Event]] = []

    def take(self, number: int, snapshot: Snapshot) -> SnapshotLease:
        """Lease snapshot `number`. To be used as a context manager, or it is never released."""
        self._counts[number] = self._counts.get(number, 0) + 1
        return SnapshotLease(self, number, snapshot)

    def in_use(self, numbers: range) -> bool:
        """Whether a snapshot of these is leased."""
        return any(number in numbers for number in self._counts)

    def released(self, number: int) -> None:
        """For leases."""
        self._counts[number] -= 1
        if self._counts[number] == 0:
            del self._counts[number]
            for numbers, event in self._waiting:
                if not self.in_use(numbers):
                    event.set()

    async def drained(self, numbers: range) -> None:
        """Wait until none of these snapshots is leased. They must all have been made already."""
        if not self.in_use(numbers):
            return
        waiting = (numbers, anyio.Event())
        self._waiting.append(waiting)
        try:
            await waiting[1].wait()
        finally:
            self._waiting.remove(waiting)
