"""All certificates of a realm are renewed, its CA too, under queries over real data: no call fails."""

import secrets
import time
from pathlib import Path

import anyio
import pytest

from app.demo.answers import SERIES, Question
from app.demo.board import EndpointRow, rows
from app.demo.driver import Tally
from app.demo.pki import Authority
from app.demo.probe import http_get
from app.pb.thanos import PartialResponseStrategy, SeriesRequest
from app.stack.scene import Stack
from tests.harness.load import caller, load
from tests.harness.stack import matching, settled_range, stack, until
from tests.unit.sidecar.frames import messages, series_of

pytestmark = pytest.mark.anyio


def question(members: int) -> Question:
    """Whether every member answers."""
    start, end = settled_range()
    request = SeriesRequest(
        min_time=start,
        max_time=end + 600_000,
        matchers=[matching("__name__", "up"), matching("job", "prometheus")],
        partial_response_strategy=PartialResponseStrategy.ABORT,
    )

    def judge(answer: bytes) -> str:
        found = messages(answer)
        said = [each.warning for each in found if each.warning]
        count = len(series_of(found))
        return "; ".join(said) or ("" if count == members else f"{count} series, not {members}")

    return Question(name="up", method=SERIES, request=bytes(request), judge=judge)


async def endpoints(running: Stack) -> list[EndpointRow]:
    status, body = await http_get(f"http://{running.querier.http_address}/api/v1/stores")
    assert status == 200
    return rows(body, time.time())


async def test_realm_rotates_under_queries(tmp_path: Path) -> None:
    async with (
        stack(tmp_path, querier_flags=["--tls.drain-window=2s"]) as running,
        caller(running.querier.grpc_address, running.front) as channel,
        load(channel, [question(len(running.members))], rate=50, workers=4) as tally,
    ):
        with anyio.fail_after(30):
            await tally.begun.wait()
        realm = running.realms["eu"]
        for _ in range(3):
            await rotate(running, tally)
        old, new = realm.authority, Authority(f"eu CA {secrets.token_hex(4)}")
        realm.trust([old, new])
        realm.authority = new
        await rotate(running, tally)
        realm.trust([new])
        before = tally.calls
        with anyio.fail_after(30):
            while tally.calls < before + 50:  # noqa: ASYNC110
                await anyio.sleep(0.05)
    assert list(tally.faults) == []
    assert tally.calls > 100


async def rotate(running: Stack, tally: Tally) -> None:
    """New leaves and keys on both sides, in use when this returns."""
    realm = running.realms["eu"]
    realm.renew_querier()
    for replica in realm.stores:
        realm.renew_store(replica)
    await until(lambda: endpoints(running), realm.in_use, f"renewed after {tally.calls} calls")
