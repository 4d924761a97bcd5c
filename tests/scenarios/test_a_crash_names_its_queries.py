"""After a crash the log says which queries ran, and after a stop as asked it says nothing."""

import signal
from pathlib import Path

import anyio
import grpc.aio
import pytest

from app.demo.dataset import DEFAULT_START
from app.pb import thanos as pb
from tests.harness import querier, world

pytestmark = pytest.mark.anyio

SLOW = 'sum(rate({__name__=~".+"}[1h:1s]))'
SAYS = "a query had not finished when the last run ended"


async def test_a_crash_names_its_queries(tmp_path: Path) -> None:
    flags = [f"--query.active-query-path={tmp_path}"]
    active = anyio.Path(tmp_path / "queries.active")
    start = DEFAULT_START // 1000
    request = pb.QueryRangeRequest(
        query=SLOW, start_time_seconds=start, end_time_seconds=start + 3600, interval_seconds=1
    )
    async with world(tmp_path, realms=["eu"], replicas=["a"], secure_front=False, flags=flags) as here:
        async with grpc.aio.insecure_channel(here.querier.grpc_address) as channel:
            call = channel.unary_stream("/thanos.Query/QueryRange")(bytes(request))
            with anyio.fail_after(20):
                while b"1h:1s" not in await active.read_bytes():
                    pass
            here.querier.send_signal(signal.SIGKILL)
            with pytest.raises(grpc.aio.AioRpcError):
                await call.read()
        again = ["--endpoint=127.0.0.1:1", *flags]
        async with querier(tmp_path, again, name="second") as second:
            assert second.log().count(SAYS) == 1
            assert "1h:1s" in second.log()
        async with querier(tmp_path, again, name="third") as third:
            assert SAYS not in third.log()
