"""thanos.Rules, Targets, Metadata, Exemplars and Status: the wire in front of whoever answers."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from app.endpoints.model import Api
from app.fanout.model import RequestContext
from app.rpc.model import SERVER_STREAM, ServerCall, Service
from app.services.scopes import NO_SCOPES, Scopes
from app.services.store import request_context
from app.services.unary import receive_only

METHODS = {
    Api.RULES: ("thanos.Rules", "Rules"),
    Api.TARGETS: ("thanos.Targets", "Targets"),
    Api.METADATA: ("thanos.Metadata", "MetricMetadata"),
    Api.EXEMPLARS: ("thanos.Exemplars", "Exemplars"),
    Api.STATUS: ("thanos.Status", "TSDBStatistics"),
}
"""Service and method of each API."""

SendOne = Callable[[bytes], Awaitable[None]]
Answer = Callable[[bytes, RequestContext, SendOne], Awaitable[None]]
"""Answers a request by sending messages.

:raises CallError: it cannot be answered.
"""


def path(api: Api) -> str:
    """``/thanos.Rules/Rules``"""
    service, method = METHODS[api]
    return f"/{service}/{method}"


def names(apis: Iterable[Api]) -> list[str]:
    """Of the services, for health and reflection."""
    return [METHODS[api][0] for api in apis]


def api_services(answers: Mapping[Api, Answer], scopes: Scopes = NO_SCOPES) -> list[Service]:
    """One service for each API that is answered."""
    made = []
    for api, answer in answers.items():
        name, method = METHODS[api]
        made.append(Service(name, {method: _handler(answer, scopes)}, streaming={method: SERVER_STREAM}))
    return made


def _handler(answer: Answer, scopes: Scopes) -> Callable[[ServerCall], Awaitable[None]]:
    async def handle(call: ServerCall) -> None:
        await answer(await receive_only(call), request_context(call, scopes), call.send)

    return handle
