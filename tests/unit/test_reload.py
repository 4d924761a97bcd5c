"""One run at a time, and none too many; every part is read, whatever the others say."""

import anyio
import pytest

from app.errors import ConfigError, Problem
from app.reload import Reload

pytestmark = pytest.mark.anyio


class Part:
    """Counts its runs; each waits until the test lets it go on."""

    def __init__(self) -> None:
        self.triggers: list[str] = []
        self.begun = anyio.Event()
        self.go_on = anyio.Event()
        self.fault = ""

    async def read(self, trigger: str) -> None:
        self.triggers.append(trigger)
        self.begun.set()
        await self.go_on.wait()
        if self.fault:
            raise ConfigError([Problem("part", self.fault)])


async def test_those_who_ask_while_one_runs_share_the_next() -> None:
    part = Part()
    reload = Reload([part.read])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reload.run, "first")
        await part.begun.wait()
        for _ in range(100):
            tasks.start_soon(reload.run, "later")
        await anyio.wait_all_tasks_blocked()
        assert part.triggers == ["first"]
        assert reload.requested
        part.go_on.set()
    assert part.triggers == ["first", "later"]
    assert not reload.requested
    await reload.run("again")
    assert part.triggers == ["first", "later", "again"]


async def test_each_hears_of_the_run_that_answers_it() -> None:
    part = Part()
    reload = Reload([part.read])
    outcomes: list[str] = []

    async def ask(name: str) -> None:
        try:
            await reload.run(name)
            outcomes.append(f"{name}: ok")
        except ConfigError as error:
            outcomes.append(f"{name}: {error}")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "first")
        await part.begun.wait()
        tasks.start_soon(ask, "second")
        tasks.start_soon(ask, "third")
        await anyio.wait_all_tasks_blocked()
        part.fault = "bad"
        part.go_on.set()
    assert sorted(outcomes) == ["first: part: bad", "second: part: bad", "third: part: bad"]
    part.fault = ""
    await ask("fourth")
    assert outcomes[-1] == "fourth: ok"


async def test_faults_of_all_parts_come_together_and_none_stops_the_others() -> None:
    called: list[str] = []

    async def at_fault(_: str) -> None:
        raise ConfigError([Problem("a", "1"), Problem("a", "2")])

    async def broken(_: str) -> None:
        raise RuntimeError("a bug")

    async def good(trigger: str) -> None:
        called.append(trigger)

    with pytest.raises(ConfigError) as caught:
        await Reload([at_fault, broken, good]).run("x")
    assert [str(each) for each in caught.value.problems] == [
        "a: 1",
        "a: 2",
        "reload: an internal error: RuntimeError: a bug",
    ]
    assert called == ["x"]


async def test_a_run_that_is_cancelled_leaves_the_next_to_those_who_wait() -> None:
    part = Part()
    reload = Reload([part.read])
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as first:
                first.start_soon(reload.run, "cancelled")
                await part.begun.wait()
                tasks.start_soon(reload.run, "waits")
                await anyio.wait_all_tasks_blocked()
                part.go_on.set()
                scope.cancel()
    assert part.triggers == ["cancelled", "waits"]
