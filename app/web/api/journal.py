"""`queries.active`: the queries that run, in a file, so that a crash leaves behind what it may be owed to.

The format is Prometheus's: after a bracket, slots of a fixed size with an object of JSON each, zeros where
nothing runs. Writes reach the kernel at once and the disk when it likes: it is for crashes of the process.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from app.errors import ConfigError, Problem

FLAG = "--query.active-query-path"
NAME = "queries.active"
SLOT = 1000
"""Bytes of one query with all that is around it; longer ones are cut."""

log = structlog.get_logger()


class Entry(msgspec.Struct, frozen=True):
    """:param timestamp_sec: seconds since the epoch, at which it began."""

    query: str
    timestamp_sec: int


class Journal:
    """Mutable: the file, and which of its slots are free; both changed by `running` alone.

    :param directory: made where there is none.
    :param slots: queries at once; of more only so many are written down.
    :param now: seconds since the epoch.
    :raises ConfigError: the file cannot be written.
    """

    def __init__(self, directory: Path, slots: int, now: Callable[[], float]) -> None:
        self._now = now
        self._free = list(range(slots))
        path = directory / NAME
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.unfinished = _entries(path.read_bytes()) if path.exists() else []
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            os.pwrite(self._file, b"[" + bytes(slots * SLOT), 0)
        except OSError as error:
            raise ConfigError([Problem(FLAG, f"{path}: {(error.strerror or str(error)).lower()}")]) from None
        for entry in self.unfinished:
            log.warning("a query had not ended when the last run did", query=entry.query)

    @contextmanager
    def running(self, query: str) -> Iterator[None]:
        """While it is entered, `query` is in the file."""
        slot = self._free.pop() if self._free else None
        try:
            if slot is not None:
                os.pwrite(self._file, _slot(Entry(query, int(self._now()))), 1 + slot * SLOT)
            yield
        finally:
            if slot is not None:
                os.pwrite(self._file, bytes(SLOT), 1 + slot * SLOT)
                self._free.append(slot)

    def close(self) -> None:
        """Forget the file."""
        os.close(self._file)


def _slot(entry: Entry) -> bytes:
    found = msgspec.json.encode(entry)
    while len(found) >= SLOT:
        cut = max(1, (len(found) - SLOT + 2) // 2)  # a character of JSON may be six bytes
        entry = Entry(entry.query[:-cut], entry.timestamp_sec)
        found = msgspec.json.encode(entry)
    return found.ljust(SLOT - 1, b"\0") + b","


def _entries(content: bytes) -> list[Entry]:
    """What was left in a file, of any number of slots; what cannot be read is passed over."""
    found: list[Entry] = []
    for at in range(1, len(content), SLOT):
        text = content[at : at + SLOT - 1].rstrip(b"\0")
        try:
            found.append(msgspec.json.decode(text, type=Entry))
        except msgspec.MsgspecError:
            continue
    return found
