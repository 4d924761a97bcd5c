"""The certificate cache: all providers, and the one watcher that keeps them fresh between handshakes.

A handshake finds new files by itself (`Provider.fresh`). The watcher makes it sooner, and covers what no
handshake covers: idle connections made with the old material, and dates that come.
"""

import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import structlog
from watchfiles import awatch

from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider

POLL_INTERVAL = 2.0
"""Seconds between two looks at all files. inotify loses files that are deleted and made again, sees nothing
on network file systems, and overflows; a look costs microseconds a file."""

FULL_READ_INTERVAL = 60.0
"""Seconds between two readings of all contents, whether or not they look changed: for file systems whose stat
does not tell. The fingerprint decides whether it was one."""

LOOKED_AT_ONCE = 50
"""Providers whose files are compared before other tasks get a turn: 0.3 ms."""

THREADS = 4
"""Worker threads that read and build, apart from those of everything else: a handshake waits for them."""

log = structlog.get_logger()

Place = tuple[str, int, int]
"""A directory, its device and its inode: a directory made anew is another one to inotify."""


def watched_places(paths: Iterable[str]) -> frozenset[Place]:
    """The directories in which a change may give one of `paths` other content: its own, and every one that
    holds a link on the way to it. Those that do not exist are left to the poll."""
    directories = set()
    for path in paths:
        directory = Path(path).absolute().parent
        directories.add(directory)
        directories.update(each.parent for each in (directory, *directory.parents) if each.is_symlink())
    places = set()
    for directory in directories:
        try:
            found = directory.stat()
        except OSError:
            continue
        places.add((str(directory), found.st_dev, found.st_ino))
    return frozenset(places)


class CertificateCache:
    """Mutable: the set of providers, changed by `provider` and `remove` on the event loop.

    :param clock: seconds since the epoch.
    """

    def __init__(self, *, metrics: TlsMetrics, clock: Callable[[], float] = time.time) -> None:
        self._metrics = metrics
        self._clock = clock
        self._providers: list[Provider] = []
        self._tasks: anyio.abc.TaskGroup | None = None
        self._rewatch = anyio.Event()
        self._watched: frozenset[Place] = frozenset()
        self._watch_error = ""
        self._threads = anyio.CapacityLimiter(THREADS)

    def provider(self, group: str, role: Role, files: TlsFiles, policy: TlsPolicy) -> Provider:
        """A provider for one group and role, followed from now on until `remove`. While there are several for
        the same, metrics are those of the newest.

        :raises ConfigError: `policy` asks for what cannot be done.
        """
        made = Provider(
            group,
            role,
            files,
            policy,
            metrics=self._metrics,
            spawn=self._spawn,
            threads=self._threads,
            clock=self._clock,
        )
        self._providers.append(made)
        self._give_metrics(made)
        self._rewatch.set()
        return made

    def remove(self, provider: Provider) -> None:
        """Follow it no more. Nothing happens when it is not followed."""
        if provider not in self._providers:
            return
        self._providers.remove(provider)
        if not any((each.group, each.role) == (provider.group, provider.role) for each in self._providers):
            self._metrics.forget(provider.group, str(provider.role))
        self._rewatch.set()

    def rename(self, provider: Provider, group: str) -> None:
        """It serves a group that is called something else now."""
        before = provider.group
        provider.rename(group)
        if not any((each.group, each.role) == (before, provider.role) for each in self._providers):
            self._metrics.forget(before, str(provider.role))
        self._give_metrics(provider)
        provider.show()

    def _give_metrics(self, provider: Provider) -> None:
        """Have the metrics of its group and role show this provider, and no other."""
        for each in self._providers:
            if (each.group, each.role) == (provider.group, provider.role):
                each.shown = each is provider
        self._metrics.forget(provider.group, str(provider.role))

    def providers(self) -> Sequence[Provider]:
        return tuple(self._providers)

    async def refresh_all(self) -> None:
        """Read everything again, whether or not it looks changed (SIGHUP)."""
        async with anyio.create_task_group() as tasks:
            for provider in self._providers:
                tasks.start_soon(provider.refresh)

    async def refresh_changed(self) -> None:
        """Read what looks changed. A look costs microseconds a file, reading a millisecond."""
        await self._look()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """The watcher. Providers can be asked once it has started; runs until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                tasks.start_soon(self._poll)
                tasks.start_soon(self._watch)
                task_status.started()
                await anyio.sleep_forever()
            finally:
                self._tasks = None

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._tasks is None:
            raise RuntimeError("the certificate cache is not running")
        self._tasks.start_soon(work)

    async def _poll(self) -> None:
        last_full_read = time.monotonic()
        while True:
            await anyio.sleep(POLL_INTERVAL)
            full = time.monotonic() - last_full_read >= FULL_READ_INTERVAL
            if full:
                last_full_read = time.monotonic()
            await self._look(everything=full)
            if self._places() != self._watched:
                self._rewatch.set()

    async def _look(self, *, everything: bool = False) -> None:
        for position, provider in enumerate(self.providers()):
            if everything or not provider.settled or provider.changed():
                await provider.refresh()
            elif position % LOOKED_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()

    def _places(self) -> frozenset[Place]:
        return watched_places({path for each in self._providers for path in each.paths})

    async def _watch(self) -> None:
        """inotify on the directories of all files; begun again when providers or directories change, which
        also mends it after an error."""
        while True:
            self._rewatch = anyio.Event()
            self._watched = self._places()
            # Cancelling alone would wait for the thread, which looks for this event and not for that (5 s).
            stop = anyio.Event()
            async with anyio.create_task_group() as tasks:
                if self._watched:
                    directories = sorted({each[0] for each in self._watched})
                    tasks.start_soon(self._watch_directories, directories, stop)
                try:
                    await self._rewatch.wait()
                finally:
                    stop.set()
            # What changed while nobody watched.
            await self._look()

    async def _watch_directories(self, directories: Sequence[str], stop: anyio.Event) -> None:
        try:
            async for _ in awatch(
                *directories,
                watch_filter=None,
                recursive=False,
                debounce=50,
                step=50,
                stop_event=stop,
                ignore_permission_denied=True,
            ):
                await self._look()
        except (OSError, RuntimeError) as error:
            # No inotify watches left, or a directory went away: the poll goes on alone, and tries again.
            if str(error) != self._watch_error:
                self._watch_error = str(error)
                log.warning("watching certificate files failed; polling goes on", err=str(error))
        self._watched = frozenset()
