"""A querier inside a realm, under the global one over mTLS: the same answers, and the same honesty."""

from pathlib import Path

import grpc.aio
import pytest

from app.pb.thanos import LabelMatcherType, PartialResponseStrategy
from tests.harness.stack import (
    ask_series,
    asking,
    matching,
    own_samples,
    samples_of,
    settled_range,
    stack,
    until,
)

pytestmark = pytest.mark.anyio

EXAMPLES = matching("__name__", "example_.*", LabelMatcherType.RE)
MEMBERS = [("eu", "a"), ("eu", "b"), ("local", "a")]


async def test_queriers_stack(tmp_path: Path) -> None:
    async with stack(tmp_path, stacked=True, members=MEMBERS) as running, asking(running) as channel:
        start, end = settled_range()
        series, warnings = await ask_series(channel, [EXAMPLES], start, end)
        wanted = {}
        for member in running.members.values():
            wanted.update(await own_samples(member, '{__name__=~"example_.*"}', start, end))
        assert (samples_of(series, start, end), warnings) == (wanted, [])

        await running.kill("eu", "b")
        address = running.members["eu", "b"].grpc_address

        async def asked() -> list[str]:
            start, end = settled_range()
            return (await ask_series(channel, [EXAMPLES], start, end))[1]

        # Said by the querier of the realm, and carried by the global one.
        (warning,) = await until(asked, lambda said: len(said) == 1, "one warning")
        assert f"eu/{address}" in warning
        with pytest.raises(grpc.aio.AioRpcError, match=address):
            await ask_series(
                channel, [EXAMPLES], start, end, partial_response_strategy=PartialResponseStrategy.ABORT
            )
