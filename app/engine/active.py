"""`queries.active`: the queries that run, in a file, so that a crash leaves behind what may have led to it.

The format is Prometheus's: after a bracket, slots of a fixed size with an object of JSON and a comma each,
zeros where nothing runs. What is wanted in each slot is kept in memory; one task writes what changed, in a
thread, so that a disk that hangs holds up no query, and what comes and goes between two writes costs nothing.
"""

import fcntl
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.abc
import anyio.to_thread
import msgspec
import structlog

NAME = "queries.active"
SLOT = 1000
"""Bytes of one query with all that is around it; longer ones are cut."""
MOST_READ = 1 << 20
"""Bytes of what a run before this one left behind."""
LAST_WRITE = 1.0
"""Seconds that a stop waits for the disk."""

_FREE = bytes(SLOT)

Given = TypeVar("Given")
log = structlog.get_logger()


class Entry(msgspec.Struct, frozen=True):
    """:param timestamp_sec: seconds since the epoch, at which it began."""

    query: str
    timestamp_sec: int


class ActiveQueries:
    """Mutable: what each slot is to hold, changed by `running`; the file, by `run` alone.

    :param directory: made where there is none.
    :param slots: queries at once; of more only so many are written down.
    :param now: seconds since the epoch.
    """

    def __init__(self, directory: Path, slots: int, *, now: Callable[[], float] = time.time) -> None:
        self._path = directory / NAME
        self._now = now
        self._free = list(reversed(range(slots)))
        self._wanted: dict[int, Entry | None] = {}
        self._changed = anyio.Event()
        self._file = _File(self._path, slots)
        self._settled = anyio.Event()
        self._failing = False

    @asynccontextmanager
    async def running(self, text: str) -> AsyncIterator[None]:
        """While it is entered, the query is in the file, or about to be. Waits for nothing."""
        slot = self._free.pop() if self._free else None
        if slot is None:
            yield
            return
        self._want(slot, Entry(text, int(self._now())))
        try:
            yield
        finally:
            self._want(slot, None)
            self._free.append(slot)

    def _want(self, slot: int, entry: Entry | None) -> None:
        self._wanted[slot] = entry
        self._settled = anyio.Event() if self._settled.is_set() else self._settled
        self._changed.set()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Say which queries the last run left unfinished, begin the file anew, and keep it until cancelled.

        Faults of the disk are logged, and end nothing.
        """
        for entry in await self._in_thread(self._file.open) or ():
            began = datetime.fromtimestamp(entry.timestamp_sec, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            log.warning("a query had not finished when the last run ended", query=entry.query, began=began)
        task_status.started()
        try:
            while True:
                await self._changed.wait()
                await self._write()
        finally:
            with anyio.move_on_after(LAST_WRITE, shield=True):
                await self._write()
                await self._in_thread(self._file.close)

    async def settled(self) -> None:
        """Return once the file says what runs."""
        await self._settled.wait()

    async def _write(self) -> None:
        self._changed = anyio.Event()
        wanted, self._wanted = self._wanted, {}
        try:
            if wanted:
                await self._in_thread(lambda: self._file.write(wanted))
        except anyio.get_cancelled_exc_class():
            self._wanted = {**wanted, **self._wanted}  # for the last write
            raise
        if not self._wanted:
            self._settled.set()

    async def _in_thread(self, work: Callable[[], Given]) -> Given | None:
        """None where the disk is at fault, which is said once for each time that it begins to be."""
        try:
            found = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except (OSError, ValueError) as error:
            if not self._failing:
                said = getattr(error, "strerror", None) or str(error)
                log.error("the running queries cannot be written down", path=str(self._path), err=said)
            self._failing = True
            return None
        self._failing = False
        return found


class _File:
    """Mutable: the descriptor. Threads take turns: one that was given up may still be at work."""

    def __init__(self, path: Path, slots: int) -> None:
        self._path = path
        self._slots = slots
        self._descriptor: int | None = None
        self._turn = threading.Lock()

    def open(self) -> list[Entry]:
        """What was in it; then it is empty.

        :raises OSError: it cannot be used, or another process uses it.
        """
        with self._turn:
            return self._open()

    def _open(self) -> list[Entry]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = entries(os.pread(descriptor, MOST_READ, 0))
            os.ftruncate(descriptor, 0)
            # Written out, so that there is room on the disk for whatever comes.
            os.pwrite(descriptor, b"[" + _FREE * self._slots, 0)
            os.fsync(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return found

    def write(self, wanted: Mapping[int, Entry | None]) -> None:
        """:raises OSError: it cannot be written."""
        with self._turn:
            if self._descriptor is None:
                return  # said when it could not be opened
            for slot, entry in wanted.items():
                os.pwrite(self._descriptor, _FREE if entry is None else encoded(entry), 1 + slot * SLOT)

    def close(self) -> None:
        with self._turn:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


def encoded(entry: Entry) -> bytes:
    """A slot; the query is cut where it does not fit."""
    query = entry.query[:SLOT].encode("utf-8", "replace").decode()
    found = msgspec.json.encode(Entry(query, entry.timestamp_sec))
    while len(found) >= SLOT:
        # A character may be six bytes of JSON, so this never takes away too much.
        query = query[: -max(1, (len(found) - SLOT) // 6)]
        found = msgspec.json.encode(Entry(query, entry.timestamp_sec))
    return found.ljust(SLOT - 1, b"\0") + b","


def entries(content: bytes) -> list[Entry]:
    """What is in a file of any number of slots; what cannot be read is passed over."""
    found: list[Entry] = []
    for at in range(1, len(content), SLOT):
        text = content[at : at + SLOT].rstrip(b",\0")
        try:
            found.append(msgspec.json.decode(text, type=Entry))
        except msgspec.MsgspecError:
            continue
    return found
