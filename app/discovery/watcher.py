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

BLIND_TIME = 500
"""Milliseconds after which a new watch is known to be set up, if nothing changed until then."""

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
        while True:
            self._changed = anyio.Event()
            directories = sorted({path for each in self._subscriptions for path, _, _ in each.places})
            stop = anyio.Event()
            async with anyio.create_task_group() as tasks:
                if directories:
                    tasks.start_soon(self._watch, directories, stop)
                try:
                    await self._changed.wait()
                finally:
                    # Cancelling awatch does not end its thread, only its time limit of seconds would.
                    stop.set()

    def _notify(self, paths: Iterable[str]) -> None:
        touched = set(paths)
        for subscription in tuple(self._subscriptions):
            if any(path in touched for path, _, _ in subscription.places):
                subscription.notify()

    async def _watch(self, directories: list[str], stop: anyio.Event) -> None:
        while not stop.is_set():
            try:
                await self._watch_once(directories, stop)
            except (OSError, RuntimeError) as error:
                # No inotify watches left, or a directory went away since it was looked at.
                log.warning("watching directories of file SD failed; polling goes on", err=str(error))
                with anyio.move_on_after(RETRY):
                    await stop.wait()
                self._notify(directories)

    async def _watch_once(self, directories: list[str], stop: anyio.Event) -> None:
        blind = True
        async for changes in awatch(
            *directories,
            recursive=False,
            watch_filter=None,
            debounce=200,
            step=50,
            stop_event=stop,
            rust_timeout=BLIND_TIME,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        ):
            paths = {path for _, path in changes}
            # What changed before inotify was set up is found by looking once more afterwards.
            self._notify(directories if blind else paths | {os.path.dirname(path) for path in paths})
            blind = False
