"""Two callers that do not read their answers, over the same two endpoints, hold up nobody: not each other.

Both ask for everything, read a little, and stop. A third call is answered in full meanwhile, and then both
get the rest, last one first.
"""

from pathlib import Path

import anyio
import pytest

from app.demo.answers import SERIES, ask_series, matcher
from app.demo.driver import ask
from app.pb.thanos import LabelMatcherType
from app.rpc.calls import ResponseStream
from tests.harness import Shape, caller, world

pytestmark = pytest.mark.anyio

WINDOW = 64 * 1024
CHUNK = 48 * 1024
"""Of which each endpoint has 50 MB: more than its share of the 64 MiB that one request may be sent ahead. So
the streams from the endpoints stop too, not those to the callers alone."""


async def rest(stream: ResponseStream, begun: bytes) -> bytes:
    blocks = [begun]
    while (block := await stream.next_block()) is not None:
        blocks.append(bytes(block))
    return b"".join(blocks)


async def test_unread_answers_block_nobody(tmp_path: Path) -> None:
    shape = Shape(series=512, chunk_bytes=CHUNK)
    async with (
        world(tmp_path, realms=("eu",), shape=shape) as here,
        caller(here.querier.grpc_address, here.front) as channel,
    ):
        everything = ask_series("everything", here.datasets, [matcher(LabelMatcherType.RE, "__name__", ".+")])
        with anyio.fail_after(40):
            async with (
                channel.stream(SERIES, everything.request, timeout=40, window=WINDOW) as first,
                channel.stream(SERIES, everything.request, timeout=40, window=WINDOW) as second,
            ):
                begun = [bytes(await each.next_block() or b"") for each in (first, second)]
                assert all(begun)
                assert await ask(channel, everything, timeout=30) == ""
                answers = await rest(second, begun[1]), await rest(first, begun[0])
        assert min(len(answer) for answer in answers) > 100 * WINDOW, "too small to fill any window"
        assert [everything.judge(answer) for answer in answers] == ["", ""]
