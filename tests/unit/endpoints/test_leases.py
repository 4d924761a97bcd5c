import anyio
import pytest

from app.endpoints.leases import LeaseBook
from app.endpoints.model import Snapshot
from app.endpoints.snapshots import Snapshots

pytestmark = pytest.mark.anyio

EMPTY = Snapshot(())


async def ends(book: LeaseBook, numbers: range) -> bool:
    with anyio.move_on_after(1) as waiting:
        await book.drained(numbers)
    return not waiting.cancelled_caught


async def test_only_leases_of_the_range_are_waited_for() -> None:
    book = LeaseBook()
    with book.take(3, EMPTY), book.take(5, EMPTY):
        assert await ends(book, range(1, 3))
        assert await ends(book, range(4, 5))
        assert await ends(book, range(4, 4))
        assert not await ends(book, range(1, 4))
        assert not await ends(book, range(5, 9))
    assert await ends(book, range(1, 9))


async def test_the_last_release_wakes_those_that_wait() -> None:
    book = LeaseBook()
    first, second = book.take(1, EMPTY), book.take(2, EMPTY)
    woken: list[str] = []

    async def wait(name: str, numbers: range) -> None:
        await book.drained(numbers)
        woken.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, "one", range(1, 2))
        tasks.start_soon(wait, "both", range(1, 3))
        await anyio.sleep(0.001)
        with first:
            pass
        await anyio.sleep(0.001)
        assert woken == ["one"]
        with second:
            pass
    assert woken == ["one", "both"]


async def test_leaving_a_lease_twice_counts_once() -> None:
    book = LeaseBook()
    with book.take(1, EMPTY):
        lease = book.take(1, EMPTY)
        with lease:
            pass
        with lease:
            pass
        assert book.in_use(range(1, 2))
    assert not book.in_use(range(1, 2))


async def test_a_snapshot_is_made_when_one_is_asked_for_after_a_change() -> None:
    made: list[int] = []

    def views() -> tuple[()]:
        made.append(1)
        return ()

    snapshots = Snapshots(views)
    for _ in range(5):
        snapshots.changed()
    with snapshots.lease() as first, snapshots.lease() as second:
        assert first is second
    assert (len(made), snapshots.newest) == (1, 1)
    snapshots.changed()
    assert len(made) == 1
    with snapshots.lease() as third:
        assert third is not first
    assert (len(made), snapshots.newest) == (2, 2)
