"""The snapshot that requests lease now, made anew only when one is asked for after a change."""

from collections.abc import Callable

from app.endpoints.leases import LeaseBook, SnapshotLease
from app.endpoints.model import EndpointView, Snapshot


class Snapshots:
    """Mutable: the current snapshot and its number; dropped by `changed`, made by `lease`.

    However many endpoints change between two requests, the second pays for one new snapshot.

    :param views: all endpoints now, in order.
    """

    def __init__(self, views: Callable[[], tuple[EndpointView, ...]]) -> None:
        self._views = views
        self._book = LeaseBook()
        self._made = 0
        self._current: Snapshot | None = None

    def changed(self) -> None:
        """Something that requests can see has changed."""
        self._current = None

    def lease(self) -> SnapshotLease:
        if self._current is None:
            self._current = Snapshot(self._views())
            self._made += 1
        return self._book.take(self._made, self._current)

    @property
    def newest(self) -> int:
        """The number of the newest snapshot: an endpoint that is new now is in later ones only, one that is
        gone now (out of the views, and `changed` called) in none that is later."""
        return self._made

    async def drained(self, numbers: range) -> None:
        """Wait until no snapshot of these is leased."""
        await self._book.drained(numbers)
