"""Tests in several processes at once, and those that bear no other beside them.

What measures is marked ``alone``. The processes of a run share two locks: a test holds the room, together
with others or alone. Whoever waits for the room stands in its door, so that one who wants it alone is not
passed by for ever by those who share it.
"""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Turns:
    """Immutable: where the locks are. A plugin of each process.

    :param directory: one for all processes.
    """

    def __init__(self, directory: Path) -> None:
        self._door, self._room = directory / "door", directory / "room"

    # Outermost, so that no time limit counts the waiting.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        with self.taken(alone=item.get_closest_marker("alone") is not None):
            return (yield)

    @contextmanager
    def taken(self, *, alone: bool) -> Iterator[None]:
        """The room, as soon as whoever is in it lets others in."""
        how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        with _locked(self._door, fcntl.LOCK_EX) as door, _locked(self._room, how):
            fcntl.flock(door, fcntl.LOCK_UN)
            yield


@contextmanager
def _locked(path: Path, how: int) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, how)
        yield descriptor
    finally:
        os.close(descriptor)
