"""One inotify watcher for the file SD of all groups.

watchfiles holds a worker thread for as long as it watches. One for each group would use up the threads that
everything else reads files in.
"""

import os
from collections.abc import Callable, Iterable

import anyio
import structlog
from watchfiles import awatch

RETRY = 5.0
"""Seconds until watching is tried again after it failed; polling goes on meanwhile."""

log = structlog.get_logger()

Place = tuple[str, int, int]
"""A directory, its device and its inode: a directory made anew is another one to inotify."""


def watchable(directory: str) -> Place | None:
    """`directory`, or where it would appear: the nearest one above that exists. Does I/O."""
    path = os.path.abspath(directory)
    while True:
        try:
            stat = os.stat(path)
        except OSError:
            above = os.path.dirname(path)
            if above == path:
                return None
            path = above
        else:
            return path, stat.st_dev, stat.st_ino


class Subscription:
    """Mutable: the places somebody cares about, changed by `follow` alone."""

    def __init__(self, watcher: "DirectoryWatcher", notify: Callable[[], None]) -> None:
        self.places: frozenset[Place] = frozenset()
        self.notify = notify
        self._watcher = watcher

    def follow(self, places: Iterable[Place]) -> None:
        """Watch these from now on."""
        wanted = frozenset(places)
        if wanted != self.places:
            self.places = wanted
            self._watcher.rewatch()

    def close(self) -> None:
        """Watch nothing any more."""
        self._watcher.drop(self)


class DirectoryWatcher:
    """Mutable: the subscriptions, changed by `subscribe` and by what each subscription is told."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._changed = anyio.Event()

    def subscribe(self, notify: Callable[[], None]) -> Subscription:
        """Have `notify` called, on the event loop, when something changed in the places followed. It may be
        called when nothing did."""
        subscription = Subscription(self, notify)
        self._subscriptions.add(subscription)
        return subscription

    def drop(self, subscription: Subscription) -> None:
        """For `Subscription.close`."""
        self._subscriptions.discard(subscription)
        self.rewatch()

    def rewatch(self) -> None:
        """For subscriptions: what they follow has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        watched: frozenset[Place] = frozenset()
        while True:
            self._changed = anyio.Event()
            places = frozenset(place for each in self._subscriptions for place in each.places)
            async with anyio.create_task_group() as tasks:
                if places:
                    tasks.start_soon(self._watch, sorted({path for path, _, _ in places}))
                    # Between the old watch and the new one nobody watched.
                    self._notify(path for path, _, _ in (places if watched else ()))
                watched = places
                await self._changed.wait()
                tasks.cancel_scope.cancel()

    def _notify(self, paths: Iterable[str]) -> None:
        touched = set(paths)
        for subscription in tuple(self._subscriptions):
            if any(path in touched for path, _, _ in subscription.places):
                subscription.notify()

    async def _watch(self, directories: list[str]) -> None:
        while True:
            try:
                async for changes in awatch(
                    *directories,
                    recursive=False,
                    watch_filter=None,
                    debounce=200,
                    step=50,
                    ignore_permission_denied=True,
                ):
                    paths = {path for _, path in changes}
                    self._notify(paths | {os.path.dirname(path) for path in paths})
            except (OSError, RuntimeError) as error:
                # No inotify watches left, or a directory went away since it was looked at.
                log.warning("watching directories of file SD failed; polling goes on", err=str(error))
            await anyio.sleep(RETRY)
            self._notify(directories)
