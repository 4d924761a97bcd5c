"""The certificate cache: all providers, and the one watcher that keeps them fresh between handshakes.

A handshake finds new files by itself (`Provider.fresh`). The watcher makes it sooner, and covers what no
handshake covers: idle connections made with the old material, and dates that come.
"""

import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import structlog
from watchfiles import awatch

from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider

POLL_INTERVAL = 2.0
"""Seconds between two looks at all files. inotify loses files that are deleted and made again, sees nothing
on network file systems, and overflows; a look costs microseconds a file."""

log = structlog.get_logger()


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

    def provider(self, group: str, role: Role, files: TlsFiles, policy: TlsPolicy) -> Provider:
        """A provider for one group and role, followed from now on until `remove`."""
        made = Provider(
            group, role, files, policy, metrics=self._metrics, spawn=self._spawn, clock=self._clock
        )
        self._providers.append(made)
        self._rewatch.set()
        return made

    def remove(self, provider: Provider) -> None:
        """Follow it no more."""
        self._providers.remove(provider)
        self._metrics.forget(provider.group, str(provider.role))
        self._rewatch.set()

    def providers(self) -> Sequence[Provider]:
        return tuple(self._providers)

    async def refresh_all(self) -> None:
        """Read everything again, whether or not it looks changed (SIGHUP)."""
        async with anyio.create_task_group() as tasks:
            for provider in self._providers:
                tasks.start_soon(provider.refresh)

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
        while True:
            await anyio.sleep(POLL_INTERVAL)
            await self._look()

    async def _look(self) -> None:
        for provider in self.providers():
            if provider.changed():
                await provider.refresh()

    async def _watch(self) -> None:
        """inotify on the directories of all files; begun again when the providers change."""
        while True:
            self._rewatch = anyio.Event()
            directories = {str(Path(path).parent) for each in self._providers for path in each.paths}
            existing = [each for each in sorted(directories) if await anyio.Path(each).is_dir()]
            async with anyio.create_task_group() as tasks:
                if existing:
                    tasks.start_soon(self._watch_directories, existing)
                await self._rewatch.wait()
                tasks.cancel_scope.cancel()

    async def _watch_directories(self, directories: Sequence[str]) -> None:
        try:
            async for _ in awatch(
                *directories, recursive=False, debounce=50, step=20, ignore_permission_denied=True
            ):
                await self._look()
        except (OSError, RuntimeError) as error:
            # No inotify watches left, or a directory went away: the poll goes on alone.
            log.warning("watching certificate files failed; polling goes on", err=str(error))
