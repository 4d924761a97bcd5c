import anyio
import pytest

from app.errors import CallError, Code
from app.pb.grpc.health.v1 import HealthCheckRequest, HealthCheckResponse, HealthCheckResponseServingStatus
from app.services.health import Health
from tests.unit.services.fake_call import FakeCall

pytestmark = pytest.mark.anyio
Status = HealthCheckResponseServingStatus


def statuses(call: FakeCall) -> list[Status]:
    return [HealthCheckResponse.parse(message).status for message in call.sent]


def request(service: str = "") -> bytes:
    return bytes(HealthCheckRequest(service=service))


@pytest.mark.parametrize("service", ["", "thanos.Store"])
async def test_check_follows_readiness(service: str) -> None:
    health = Health(["thanos.Store"])
    before, after, draining = (FakeCall(request(service)) for _ in range(3))
    await health.check(before)
    health.set_serving(True)
    await health.check(after)
    health.set_serving(False)
    await health.check(draining)
    assert [statuses(call) for call in (before, after, draining)] == [
        [Status.NOT_SERVING],
        [Status.SERVING],
        [Status.NOT_SERVING],
    ]


async def test_unknown_service_is_not_found() -> None:
    with pytest.raises(CallError) as caught:
        await Health([]).check(FakeCall(request("nobody.Knows")))
    assert caught.value.code is Code.NOT_FOUND


async def test_request_that_is_missing_or_broken_is_refused() -> None:
    for call in (FakeCall(), FakeCall(b"\x0a\xff\xff\xff\xff\xff")):
        with pytest.raises(CallError) as caught:
            await Health([]).check(call)
        assert caught.value.code is Code.INVALID_ARGUMENT


async def test_watch_sends_each_change_once() -> None:
    health = Health(["thanos.Store"])
    known, unknown = FakeCall(request("thanos.Store")), FakeCall(request("nobody.Knows"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(health.watch, known)
        tasks.start_soon(health.watch, unknown)
        await known.wait_sent(1)
        await unknown.wait_sent(1)
        health.set_serving(True)
        await known.wait_sent(2)
        health.set_serving(True)
        health.set_serving(False)
        await known.wait_sent(3)
        tasks.cancel_scope.cancel()
    assert statuses(known) == [Status.NOT_SERVING, Status.SERVING, Status.NOT_SERVING]
    assert statuses(unknown) == [Status.SERVICE_UNKNOWN]
