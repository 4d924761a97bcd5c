"""grpc.health.v1.Health: SERVING while the querier is ready, NOT_SERVING before and while it drains."""

from collections.abc import Callable, Iterable

import anyio

from app.errors import CallError, Code
from app.pb.grpc.health.v1 import HealthCheckRequest, HealthCheckResponse, HealthCheckResponseServingStatus
from app.rpc.messages import parsed
from app.rpc.model import SERVER_STREAM, ServerCall, Service
from app.services.unary import receive_only

NAME = "grpc.health.v1.Health"
Status = HealthCheckResponseServingStatus


class Health:
    """Mutable: whether the querier serves, set by the lifecycle, and the event that wakes the watchers.

    :param services: names that can be asked for beside the empty one, which is the whole server.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = {"", *services}
        self._serving = False
        self._changed = anyio.Event()

    def set_serving(self, serving: bool) -> None:
        """Tell those who ask and those who watch."""
        if serving != self._serving:
            self._serving = serving
            self._changed.set()
            self._changed = anyio.Event()

    def _status(self, service: str) -> Status:
        if service not in self._services:
            return Status.SERVICE_UNKNOWN
        return Status.SERVING if self._serving else Status.NOT_SERVING

    async def check(self, call: ServerCall) -> None:
        """Answer once.

        :raises CallError: NOT_FOUND for a service that is not served.
        """
        service = parsed(HealthCheckRequest, await receive_only(call)).service
        status = self._status(service)
        if status is Status.SERVICE_UNKNOWN:
            raise CallError(Code.NOT_FOUND, f"unknown service {service!r}")
        await call.send(bytes(HealthCheckResponse(status=status)))

    async def watch(self, call: ServerCall) -> None:
        """Answer now and at each change, until the client goes away or the server drains."""
        service = parsed(HealthCheckRequest, await receive_only(call)).service
        sent: Status | None = None
        while True:
            changed = self._changed
            status = self._status(service)
            if status is not sent:
                await call.send(bytes(HealthCheckResponse(status=status)))
                sent = status
            await changed.wait()

    def service(self) -> Service:
        handlers: dict[str, Callable[[ServerCall], object]] = {"Check": self.check, "Watch": self.watch}
        return Service(NAME, handlers, streaming={"Watch": SERVER_STREAM})  # type: ignore[arg-type]
