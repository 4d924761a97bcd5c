"""From an HTTP request to a handler and back: parameters, errors, clients that go away."""

from collections.abc import Awaitable, Callable, Mapping

import anyio
import anyio.to_thread
import msgspec
import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from app.web.api.envelope import Result, failure, success
from app.web.api.errors import ApiError, ErrorKind, api_error
from app.web.api.form import Form, read_form
from app.web.departure import departure

log = structlog.get_logger()


class Call(msgspec.Struct, frozen=True):
    """A request as handlers see it.

    :param path: what stands in the path: ``name`` of a label.
    :param certificates: of the client, PEM, its own first; none without TLS.
    """

    form: Form
    path: Mapping[str, str]
    headers: Headers
    certificates: tuple[str, ...] = ()


Handler = Callable[[Call], Awaitable[Result]]


class Endpoint:
    """Stateless: one path. Handlers raise, and here it becomes an answer; nothing else does.

    :param cors: headers of every answer.
    """

    def __init__(self, handler: Handler, *, cors: Mapping[str, str]) -> None:
        self._handler = handler
        self._cors = cors

    async def answer(self, request: Request) -> Response:
        """Of a request."""
        try:
            call = Call(
                form=await read_form(request),
                path=request.path_params,
                headers=request.headers,
                certificates=_certificates(request),
            )
            result = await _while_connected(request, self._handler, call)
            if result.slow:
                return await anyio.to_thread.run_sync(success, result, self._cors)
            return success(result, self._cors)
        except Exception as error:
            known = api_error(error)
            if known is None:
                log.error("request failed: an internal error", path=request.url.path, exc_info=error)
                known = ApiError(ErrorKind.INTERNAL, "internal error; the log of the querier has more")
            return failure(known, self._cors)


async def _while_connected(request: Request, handler: Handler, call: Call) -> Result:
    """Run the handler, and cancel it when the client goes away."""
    with anyio.CancelScope() as scope, departure(request.scope).told(scope.cancel):
        return await handler(call)
    raise ApiError(ErrorKind.CANCELED, "the client went away")


def _certificates(request: Request) -> tuple[str, ...]:
    """From the TLS extension of ASGI."""
    tls = request.scope.get("extensions", {}).get("tls") or {}
    return tuple(tls.get("client_cert_chain", ()))
