"""thanos.Store over all endpoints: the wire in front of the fan-out."""

from app.fanout.fanout import Fanout
from app.fanout.model import RequestContext
from app.rpc.model import SERVER_STREAM, Metadata, ServerCall, Service
from app.services.unary import receive_only

NAME = "thanos.Store"

# What a querier passes on to its endpoints. Everything else in the metadata was meant for this hop.
FORWARDED = frozenset({"thanos-tenant"})


def forwarded(metadata: Metadata) -> dict[str, str]:
    """The part of a client's metadata that goes to the endpoints."""
    return {key: value for key, value in metadata.items() if key in FORWARDED}


def request_context(call: ServerCall) -> RequestContext:
    """What goes with a request to the endpoints."""
    return RequestContext(metadata=forwarded(call.metadata), timeout=call.remaining)


class Store:
    """Stateless: every call is the fan-out's."""

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout

    async def series(self, call: ServerCall) -> None:
        await self._fanout.series(await receive_only(call), request_context(call), call.send_framed)

    async def label_names(self, call: ServerCall) -> None:
        await call.send(await self._fanout.label_names(await receive_only(call), request_context(call)))

    async def label_values(self, call: ServerCall) -> None:
        await call.send(await self._fanout.label_values(await receive_only(call), request_context(call)))

    def service(self) -> Service:
        return Service(
            NAME,
            {"Series": self.series, "LabelNames": self.label_names, "LabelValues": self.label_values},
            streaming={"Series": SERVER_STREAM},
        )
