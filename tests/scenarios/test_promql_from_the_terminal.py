"""`crossrealm promql` gets the same answer from a querier and from the endpoints themselves."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import pytest

from app.demo.dataset import DEFAULT_START
from app.demo.processes import free_address
from app.demo.store_options import Faults
from tests.harness import world

pytestmark = pytest.mark.anyio
START = DEFAULT_START // 1000 + 300


class Done(msgspec.Struct, frozen=True):
    code: int
    out: str
    errors: str


async def promql(*arguments: str, **environment: str) -> Done:
    command = [sys.executable, "-m", "app", "promql", *arguments]
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            env={**os.environ, **environment},
        )
    )
    return Done(done.returncode, done.stdout, done.stderr)


async def together(*each: Sequence[str]) -> list[Done]:
    """`promql` with each of the arguments, at the same time: most of it is the start of a process."""
    done: dict[int, Done] = {}

    async def one(number: int, arguments: Sequence[str]) -> None:
        done[number] = await promql(*arguments)

    async with anyio.create_task_group() as tasks:
        for number, arguments in enumerate(each):
            tasks.start_soon(one, number, arguments)
    return [done[number] for number in range(len(each))]


def data(done: Done) -> Any:
    assert done.code == 0, done.errors
    return json.loads(done.out)["data"]["result"]


async def test_a_querier_and_its_endpoints_say_the_same(tmp_path: Path) -> None:
    async with world(tmp_path, flags=["--query.replica-label=replica"]) as here:
        both = (
            (f"--url={here.querier.http_url}",),
            (f"--endpoints.config={here.endpoints}", "--query.replica-label=replica"),
        )
        for query, times in (
            ("count by (realm) (up)", [f"--time={START}"]),
            ("sum by (realm) (rate(http_requests_total[2m]))", [f"--start={START}", f"--end={START + 300}"]),
        ):
            answers = await together(*((query, *who, *times, "--output=json") for who in both))
            first, second = map(data, answers)
            assert first == second
            assert {each["metric"]["realm"] for each in first} == {"eu", "us"}

        counted = await promql("count(up)", *both[1], f"--time={START}")
        assert (counted.code, counted.out) == (0, "{}\t32\n")
        narrow = await promql(
            "count(up)", *both[0], f"--start={START}", f"--end={START + 60}",
            COLUMNS="40", FORCE_COLOR="1", NO_COLOR="1", PYTHONIOENCODING="utf-8",
        )  # fmt: skip
        assert re.search("\x1b\\[[0-9;]*3[0-9]", narrow.out) is None, "there is a colour"
        plain = re.sub("\x1b\\[[0-9;]*m", "", narrow.out).splitlines()
        assert any("┤" in line for line in plain)
        assert max(map(len, plain)) <= 40
        for wrong in await together(*(("sum(up", *who) for who in both)):
            assert (wrong.code, wrong.out) == (1, "")
            assert wrong.errors.splitlines()[1:] == ["  sum(up", "        ^"]
        query = "rate(temperature_celsius[2m])"
        for odd in await together(*((query, *who, f"--time={START}") for who in both)):
            assert odd.code == 0
            assert "info: metric might not be a counter" in odd.errors


async def test_what_is_missing_is_said_on_stderr(tmp_path: Path) -> None:
    faults = {("eu", "a"): Faults(fail="UNAVAILABLE")}
    async with world(tmp_path, realms=("eu",), faults=faults) as here:
        done = await promql("count(up)", f"--endpoints.config={here.endpoints}", f"--time={START}")
        assert (done.code, done.out) == (0, "{}\t16\n")
        assert "warning: " in done.errors
        assert "the store was told to fail" in done.errors
        here.write_groups({"gone": (None, [free_address()])})
        done = await promql("count(up)", f"--endpoints.config={here.endpoints}", "--timeout=20s")
        assert (done.code, done.out) == (1, "")
        assert "error: no endpoint can be asked; gone/127.0.0.1:" in done.errors
        assert done.errors.rstrip().endswith("cannot connect: 127.0.0.1: connection refused")
