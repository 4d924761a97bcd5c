"""thanos.Store over all endpoints: the wire in front of the fan-out."""

from app.fanout.fanout import Fanout
from app.fanout.model import RequestContext
from app.rpc.model import SERVER_STREAM, Metadata, ServerCall, Service
from app.services.scopes import NO_SCOPES, Scopes
from app.services.unary import receive_only

NAME = "thanos.Store"

# What a querier passes on to its endpoints. Everything else in the metadata was meant for this hop.
FORWARDED = frozenset({"thanos-tenant"})


def forwarded(metadata: Metadata) -> dict[str, str]:
    """The part of a client's metadata that goes to the endpoints."""
    return {key: value for key, value in metadata.items() if key in FORWARDED}


def request_context(call: ServerCall, scopes: Scopes) -> RequestContext:
    """What goes with a request to the endpoints.

    :raises CallError: PERMISSION_DENIED, nobody can tell what the client may see.
    """
    return RequestContext(
        metadata=forwarded(call.metadata), timeout=call.remaining, scope=scopes.of(call.peer)
    )


class Store:
    """Stateless: every call is the fan-out's."""

    def __init__(self, fanout: Fanout, scopes: Scopes = NO_SCOPES) -> None:
        self._fanout = fanout
        self._scopes = scopes

    async def series(self, call: ServerCall) -> None:
        await self._fanout.series(await receive_only(call), self._context(call), call.send_framed)

    async def label_names(self, call: ServerCall) -> None:
        await call.send(await self._fanout.label_names(await receive_only(call), self._context(call)))

    async def label_values(self, call: ServerCall) -> None:
        await call.send(await self._fanout.label_values(await receive_only(call), self._context(call)))

    def _context(self, call: ServerCall) -> RequestContext:
        return request_context(call, self._scopes)

    def service(self) -> Service:
        return Service(
            NAME,
            {"Series": self.series, "LabelNames": self.label_names, "LabelValues": self.label_values},
            streaming={"Series": SERVER_STREAM},
        )
