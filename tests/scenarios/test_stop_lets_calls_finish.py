"""SIGTERM loses no call in flight: they finish, and the command exits with 0.

A second signal cuts them short, and the command exits with 1.
"""

import signal
from pathlib import Path

import anyio
import pytest

from app.demo.answers import ask_label_names
from app.demo.driver import ask
from tests.harness import Faults, World, caller, world

pytestmark = pytest.mark.anyio


async def until_in_flight(here: World) -> None:
    with anyio.fail_after(10):
        while not await here.querier.metric("crossrealm_server_streams", listener="grpc"):  # noqa: ASYNC110
            await anyio.sleep(0.02)


@pytest.mark.parametrize("patient", [True, False], ids=["one signal", "two signals"])
async def test_stop(tmp_path: Path, patient: bool) -> None:
    slow = Faults(delay=2.0 if patient else 30.0)
    async with world(
        tmp_path, realms=(), plaintext=("local",), replicas=("a",), faults={("local", "a"): slow}
    ) as here:
        question = ask_label_names(here.datasets)
        faults: list[str] = []
        child = here.querier.child
        async with (
            caller(here.querier.grpc_address, here.front) as channel,
            anyio.create_task_group() as tasks,
        ):

            async def call() -> None:
                faults.append(await ask(channel, question, timeout=40))

            tasks.start_soon(call)
            await until_in_flight(here)
            child.stopping = True
            here.querier.send_signal(signal.SIGTERM)
            if not patient:
                with anyio.fail_after(10):
                    while "stopping" not in here.querier.log():  # noqa: ASYNC110
                        await anyio.sleep(0.02)
                here.querier.send_signal(signal.SIGTERM)
            with anyio.fail_after(15):
                code = await child.wait()
        assert code == (0 if patient else 1), here.querier.log()
        assert (faults == [""]) is patient, faults
