"""`--query.missing-endpoints` decides what an endpoint that is down does to answers: an error, or nothing."""

from pathlib import Path

import anyio
import pytest

from app.demo.answers import ask_series
from app.errors import CallError, Code
from tests.harness import caller, world
from tests.scenarios.test_missing_endpoint_is_said import UP, answer, request_for

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("policy", ["error", "ignore"])
async def test_missing_endpoints_policy(tmp_path: Path, policy: str) -> None:
    async with (
        world(
            tmp_path,
            realms=("good",),
            plaintext=("bad",),
            replicas=("a",),
            flags=[f"--query.missing-endpoints={policy}"],
        ) as here,
        caller(here.querier.grpc_address, here.front) as channel,
    ):
        bad, good = here.stores["bad", "a"], here.stores["good", "a"]
        await bad.child.stop(5)
        await here.until(
            lambda rows: any(row.group == "bad" and row.last_error for row in rows),
            limit=15,
            what="the dead endpoint has its reason on the status page",
        )
        with anyio.fail_after(10):
            if policy == "ignore":
                warnings, rest = await answer(channel, request_for(here))
                assert warnings == []
                assert ask_series("the healthy group", [good.dataset], [UP]).judge(rest) == ""
                return
            with pytest.raises(CallError) as raised:
                await answer(channel, request_for(here))
        assert raised.value.code is Code.UNAVAILABLE
        assert "bad" in raised.value.message and bad.address in raised.value.message
