import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.turns import Turns

SOON, LIMIT = 0.1, 10.0


class Guest:
    """Mutable: whether it is in, and whether it may leave. On locks of its own, as a process is."""

    def __init__(self, directory: Path, *, alone: bool) -> None:
        self.inside, self.may_leave = threading.Event(), threading.Event()
        self._turns, self._alone = Turns(directory), alone
        self._thread = threading.Thread(target=self._visit, daemon=True)
        self._thread.start()

    def _visit(self) -> None:
        with self._turns.taken(alone=self._alone):
            self.inside.set()
            self.may_leave.wait(LIMIT)

    def leave(self) -> None:
        self.may_leave.set()
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()


@contextmanager
def guest(directory: Path, *, alone: bool = False) -> Iterator[Guest]:
    made = Guest(directory, alone=alone)
    try:
        yield made
    finally:
        made.leave()


def test_tests_that_bear_others_run_together(tmp_path: Path) -> None:
    with guest(tmp_path) as first, guest(tmp_path) as second:
        assert first.inside.wait(LIMIT)
        assert second.inside.wait(LIMIT)


@pytest.mark.parametrize("alone", [(True, False), (False, True), (True, True)])
def test_one_that_is_to_be_alone_is(tmp_path: Path, alone: tuple[bool, bool]) -> None:
    with guest(tmp_path, alone=alone[0]) as first:
        assert first.inside.wait(LIMIT)
        with guest(tmp_path, alone=alone[1]) as second:
            assert not second.inside.wait(SOON)
            first.leave()
            assert second.inside.wait(LIMIT)


def test_who_waits_to_be_alone_is_not_passed_by(tmp_path: Path) -> None:
    with guest(tmp_path) as first:
        assert first.inside.wait(LIMIT)
        with guest(tmp_path, alone=True) as alone:
            assert not alone.inside.wait(SOON)
            with guest(tmp_path) as later:
                assert not later.inside.wait(SOON), "it passed by whom it should wait behind"
                first.leave()
                assert alone.inside.wait(LIMIT)
                alone.leave()
                assert later.inside.wait(LIMIT)


def test_a_failing_test_leaves_the_room(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Turns(tmp_path).taken(alone=True):
        raise ZeroDivisionError
    with guest(tmp_path, alone=True) as next_one:
        assert next_one.inside.wait(LIMIT)
