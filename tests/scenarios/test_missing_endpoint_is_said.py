"""An endpoint that does not answer is named in the answer, with its group, and costs the others nothing.

One endpoint answers garbage, one stalls in the middle, one fails, one is dead: each answer carries a warning
that names the group and the address, and all series of the healthy group. A caller that asks for
all or nothing (ABORT) gets an error instead.
"""

from pathlib import Path

import anyio
import pytest

from app.demo import wire
from app.demo.answers import SERIES, ask_series, matcher
from app.errors import CallError
from app.pb.thanos import LabelMatcherType, PartialResponseStrategy, SeriesRequest
from app.rpc.channel import Channel
from tests.harness import Faults, World, caller, world

pytestmark = pytest.mark.anyio

WARNING_FIELD = 2
UP = matcher(LabelMatcherType.EQ, "__name__", "up")


def request_for(here: World, strategy: PartialResponseStrategy = PartialResponseStrategy.WARN) -> bytes:
    data = here.stores["good", "a"].dataset
    return bytes(
        SeriesRequest(
            matchers=[UP],
            min_time=data.min_time,
            max_time=data.max_time,
            partial_response_strategy=strategy,
            response_batch_size=64,
        )
    )


async def answer(channel: Channel, request: bytes) -> tuple[list[str], bytes]:
    """The warnings, and the answer without them."""
    blocks = []
    async with channel.stream(SERIES, request, timeout=15) as response:
        while (block := await response.next_block()) is not None:
            blocks.append(bytes(block))
    warnings, kept = [], []
    for message in wire.unframed(b"".join(blocks)):
        found = [value for number, value in wire.fields(message) if number == WARNING_FIELD]
        warnings += [value.decode() for value in found if isinstance(value, bytes)]
        if not found:
            kept.append(message)
    return warnings, b"".join(wire.framed([message]) for message in kept)


@pytest.mark.parametrize(
    "fault",
    [
        Faults(garbage=True),
        Faults(stall_after=0),
        Faults(fail="INTERNAL"),
        None,
    ],
    ids=["garbage", "stalling", "failing", "dead"],
)
async def test_missing_endpoint_is_said(tmp_path: Path, fault: Faults | None) -> None:
    faults = {("bad", "a"): fault} if fault is not None else {}
    async with (
        world(
            tmp_path,
            realms=("good",),
            plaintext=("bad",),
            replicas=("a",),
            faults=faults,
            flags=["--store.response-timeout=1s"],
        ) as here,
        caller(here.querier.grpc_address, here.front) as channel,
    ):
        bad, good = here.stores["bad", "a"], here.stores["good", "a"]
        if fault is None:
            await bad.child.stop(5)
            await here.until(
                lambda rows: any(row.group == "bad" and row.last_error for row in rows),
                limit=15,
                what="the dead endpoint has its reason on the status page",
            )
        with anyio.fail_after(10):
            warnings, rest = await answer(channel, request_for(here))
        assert len(warnings) == 1, warnings
        assert "bad" in warnings[0] and bad.address in warnings[0], warnings
        assert ask_series("the healthy group", [good.dataset], [UP]).judge(rest) == ""
        with anyio.fail_after(10), pytest.raises(CallError) as raised:
            await answer(channel, request_for(here, PartialResponseStrategy.ABORT))
        assert bad.address in raised.value.message
