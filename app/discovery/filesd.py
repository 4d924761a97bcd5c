"""File SD: addresses from files in Prometheus's format, followed while they change.

A file that is gone takes its targets with it, as in Prometheus; one that is there and cannot be read or
parsed keeps its last good list. Labels of targets are ignored.
"""

import glob
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import aiofiles
import anyio
import anyio.to_thread
import msgspec
import structlog

from app.discovery.last_good import FileList, Reading, Signature, judge
from app.discovery.metrics import DiscoveryMetrics
from app.discovery.targets import SUFFIXES, TargetsError, parse_targets
from app.discovery.watcher import DirectoryWatcher, Place, watchable

MAX_FILE_SIZE = 64 * 1024 * 1024
"""Bytes."""
RETRY = 5.0
"""Seconds between two looks while a file is refused."""

log = structlog.get_logger()


class Found(msgspec.Struct, frozen=True):
    """What the patterns match at one moment.

    :param files: with their signatures, in the order of the patterns, each once; None where it cannot be
        told (`error` says why).
    :param missing: patterns without wildcard for which there is no file.
    """

    files: tuple[tuple[str, Signature | None, str], ...]
    missing: tuple[str, ...]
    places: frozenset[Place]


def find(patterns: Sequence[str]) -> Found:
    """Expand `patterns`. Does I/O."""
    files: dict[str, tuple[str, Signature | None, str]] = {}
    missing = []
    directories = set()
    for pattern in patterns:
        directories.add(os.path.dirname(pattern))
        wild = glob.has_magic(pattern)
        paths = sorted(glob.glob(pattern)) if wild else [pattern]
        for path in paths:
            if wild and not path.lower().endswith(SUFFIXES):
                continue  # editors and writers leave other names beside the real ones
            try:
                stat = os.stat(path)
            except FileNotFoundError:
                if not wild:
                    missing.append(path)
            except OSError as error:
                files[path] = (path, None, error.strerror or str(error))
            else:
                files[path] = (path, (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size), "")
                # A link may point to where the change will happen.
                directories.add(os.path.dirname(os.path.realpath(path)))
        directories.update(os.path.dirname(path) for path in paths)
    places = (watchable(directory or os.curdir) for directory in directories)
    return Found(tuple(files.values()), tuple(missing), frozenset(filter(None, places)))


class FileSd:
    """Mutable: the list of each file, changed by `look` alone; the patterns, changed by `replace_patterns`.

    :param group: for the log.
    :param patterns: paths or globs (``*``, ``?``, ``[...]``).
    :param interval: seconds between two looks, beside the watcher's.
    """

    def __init__(
        self,
        group: str,
        patterns: Sequence[str],
        *,
        interval: float,
        watcher: DirectoryWatcher,
        metrics: DiscoveryMetrics,
    ) -> None:
        self._patterns = tuple(patterns)
        self._interval = interval
        self._watcher = watcher
        self._metrics = metrics
        self._log = log.bind(group=group)
        self._files: dict[str, FileList] = {}
        self._missing: tuple[str, ...] = ()
        self._reread = False
        self._wake = anyio.Event()
        self._places: frozenset[Place] = frozenset()
        self.looked = not patterns

    @property
    def addresses(self) -> tuple[str, ...]:
        """All lists together, in the order of the patterns; repetitions are kept."""
        return tuple(address for each in self._files.values() for address in each.addresses or ())

    def failures(self) -> tuple[str, ...]:
        """Files that were never read, with the reason; globs that match nothing are none."""
        gone = tuple(f"{path}: there is no such file" for path in self._missing)
        return gone + tuple(
            f"{path}: {each.error}" for path, each in self._files.items() if each.addresses is None
        )

    def refresh(self) -> None:
        """Read all files again now, changed or not (SIGHUP)."""
        self._reread = True
        self._look_soon()

    def replace_patterns(self, patterns: Sequence[str]) -> None:
        """Follow these from now on; what was found before counts until they have been looked at."""
        if tuple(patterns) != self._patterns:
            self._patterns = tuple(patterns)
            self.looked = False
            self._look_soon()

    def rename(self, group: str) -> None:
        """The group is called something else now."""
        self._log = log.bind(group=group)

    def _look_soon(self) -> None:
        self._wake.set()

    async def follow(self, on_change: Callable[[], None]) -> None:
        """Look now, and whenever something may have changed, until cancelled.

        :param on_change: called after the first look and after each that changed the addresses.
        """
        subscription = self._watcher.subscribe(self._look_soon)
        known: tuple[str, ...] | None = None
        try:
            while True:
                self._wake = anyio.Event()
                await self.look()
                subscription.follow(self._places)
                if known != self.addresses:
                    known = self.addresses
                    on_change()
                with anyio.move_on_after(self._until_next_look()):
                    await self._wake.wait()
        finally:
            subscription.close()
            for path in self._files:
                self._metrics.forget(path)

    def _until_next_look(self) -> float:
        if not self._patterns:
            return math.inf
        settled = not self._missing and all(each.settled for each in self._files.values())
        return self._interval if settled else min(RETRY, self._interval)

    async def look(self) -> None:
        """Find the files and read those that changed."""
        reread, self._reread = self._reread, False
        found = Found((), (), frozenset())
        if self._patterns:
            found = await anyio.to_thread.run_sync(find, self._patterns)
        files: dict[str, FileList] = {}
        now = anyio.current_time()
        for path, signature, error in found.files:
            known = self._files.get(path)
            if not reread and known is not None and known.settled and known.signature == signature:
                files[path] = known
            elif signature is None:
                files[path] = judge(known, Reading(None, None, error), now)
            else:
                files[path] = judge(known, await _read(path), now)
        self._report(files, found.missing)
        self._files, self._missing, self._places = files, found.missing, found.places
        self.looked = True

    def _report(self, files: Mapping[str, FileList], missing: Sequence[str]) -> None:
        for path, now in files.items():
            before = self._files.get(path)
            if now is before:
                continue
            if now.error:
                self._metrics.read_errors.inc()
            elif now.signature is not None:
                self._metrics.mtime.labels(path).set(now.signature[0] / 1e9)
            self._log_change(path, before, now)
        for path in self._files.keys() - files.keys():
            self._metrics.forget(path)
            self._log.warning("a file of file SD is gone, and its targets with it", file=path)
        for path in set(missing) - set(self._missing) - self._files.keys():
            self._metrics.read_errors.inc()
            self._log.warning("a file of file SD does not exist", file=path)

    def _log_change(self, path: str, before: FileList | None, now: FileList) -> None:
        if now.error and (before is None or before.error != now.error):
            kept = "none" if now.addresses is None else len(now.addresses)
            self._log.warning(
                "a file of file SD is not in use as it is; the last good list goes on",
                file=path,
                reason=now.error,
                last_good=kept,
            )
        if now.faults and (before is None or before.faults != now.faults):
            self._log.warning("targets of file SD are left out", file=path, reason="; ".join(now.faults[:10]))
        if not now.error and (before is None or before.addresses != now.addresses):
            self._log.info("file SD read", file=path, targets=len(now.addresses or ()))


async def _read(path: str) -> Reading:
    if not path.lower().endswith(SUFFIXES):
        return Reading(None, None, f"the name must end in one of {', '.join(SUFFIXES)}")
    try:
        # Shielded: aiofiles opens in a thread, and a file that is opened for nobody is never closed.
        with anyio.CancelScope(shield=True):
            async with aiofiles.open(path, "rb") as file:
                stat = os.fstat(file.fileno())
                raw = await file.read(MAX_FILE_SIZE + 1)
                after = os.fstat(file.fileno())
    except OSError as error:
        return Reading(None, None, error.strerror or str(error))
    signature = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size)
    if len(raw) > MAX_FILE_SIZE:
        return Reading(signature, None, f"larger than {MAX_FILE_SIZE} bytes")
    if (after.st_mtime_ns, after.st_size) != (stat.st_mtime_ns, stat.st_size):
        return Reading(None, None, "it was written to while it was read")
    parse = partial(parse_targets, raw, json=Path(path).suffix.lower() == ".json")
    try:
        # In a thread: ten thousand targets in YAML would hold up the loop for a tenth of a second.
        return Reading(signature, await anyio.to_thread.run_sync(parse))
    except TargetsError as error:
        return Reading(signature, None, str(error))
