"""``POST /-/reload``, as Prometheus has it."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.errors import ConfigError

PATH = "/-/reload"


def reload_route(reload: Callable[[str], Awaitable[None]], *, enabled: bool) -> Route:
    """The path.

    :param reload: reads everything again; told who asks.
    :param enabled: with `--web.enable-lifecycle`.
    """

    async def answer(request: Request) -> Response:
        if request.method not in ("POST", "PUT"):
            return PlainTextResponse("Only POST or PUT requests allowed", 405, headers={"allow": "POST, PUT"})
        if not enabled:
            return PlainTextResponse("Lifecycle API is not enabled.", 403)
        try:
            await reload(PATH)
        except ConfigError as error:
            return PlainTextResponse(f"failed to reload config: {error}\n", 500)
        return PlainTextResponse("")

    return Route(PATH, answer, methods=["GET", "POST", "PUT"])
