"""The HTTP paths that every server has: probes and metrics."""

import time
from collections.abc import Callable, Mapping, Sequence

import anyio.to_thread
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.negotiation import agreed, cleaned
from app.web.prefix import Prefixes

COMPRESSION = 4
"""Level of gzip: for points of series a fifth of the time of the highest, and 7 % more bytes."""

Ready = Callable[[], tuple[bool, str]]
"""Whether the server may be asked; if not, why."""


def make_site(
    server_ready: Ready,
    registry: CollectorRegistry,
    *,
    index: str,
    routes: Sequence[Route] = (),
    headers: Callable[[], Mapping[str, str]] = dict,
    prefixes: Prefixes = Prefixes(),  # noqa: B008
) -> Starlette:
    """The ASGI application.

    :param index: the text of the page that lists the paths.
    :param routes: beside those that every server has; in them the prefix is there already.
    :param headers: to be added to every answer, as of now.
    :param prefixes: where the index is; probes and metrics have none.
    """

    async def front(_: Request) -> Response:
        return PlainTextResponse(index)

    async def elsewhere(request: Request) -> Response:
        return RedirectResponse(prefixes.shown(request.headers) + "/", 302)

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("OK")

    async def ready(_: Request) -> Response:
        is_ready, reason = server_ready()
        return PlainTextResponse("OK") if is_ready else PlainTextResponse(f"not ready: {reason}", 503)

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        content = await anyio.to_thread.run_sync(encode, registry)
        return Response(content, headers={"content-type": content_type})

    fronts = [Route(prefixes.route + "/", front)]
    if prefixes.route:
        fronts += [Route("/", elsewhere), Route(prefixes.route, elsewhere)]
    routes = [
        *fronts,
        Route("/-/healthy", healthy),
        Route("/-/ready", ready),
        Route("/metrics", metrics),
        *routes,
    ]
    site = Starlette(
        routes=routes,
        middleware=[
            Middleware(_Observed, registry=registry, routes=routes, headers=headers),
            Middleware(_Cleaned, prefixes=prefixes),
            Middleware(_Gzip, minimum_size=1024, compresslevel=COMPRESSION),
        ],
    )
    # It would send people to the host that the request names.
    site.router.redirect_slashes = False
    return site


class _Observed:
    """Middleware that counts and times requests, under Thanos's names, and adds headers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        registry: CollectorRegistry,
        routes: Sequence[Route],
        headers: Callable[[], Mapping[str, str]],
    ) -> None:
        self._app = app
        # Paths as they are declared: one that stands in a request may have any name in it.
        self._paths: dict[object, str] = {route.endpoint: route.path for route in routes}
        self._headers = headers
        self._requests = Counter(
            "http_requests", "HTTP requests.", ("code", "handler", "method"), registry=registry
        )
        self._duration = Histogram(
            "http_request_duration_seconds",
            "How long HTTP requests took.",
            ("code", "handler", "method"),
            buckets=(0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60),
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-content-type-options"] = "nosniff"
                headers.setdefault("vary", "Accept-Encoding")
                headers.update(self._headers())
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            handler = self._paths.get(scope.get("endpoint"), "other")
            labels = (str(status), handler, scope["method"].lower())
            self._requests.labels(*labels).inc()
            self._duration.labels(*labels).observe(time.monotonic() - begun)


class _Cleaned:
    """Middleware that sends requests with empty parts or dots in their path to the path without: a URL that
    ends in a slash is often put before a path that begins with one."""

    def __init__(self, app: ASGIApp, *, prefixes: Prefixes) -> None:
        self._app = app
        self._prefixes = prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["raw_path"].decode("latin-1")
            if "//" in path or "/." in path:
                clean = cleaned(path)
                if clean != path:
                    await RedirectResponse(self._shown(clean, scope), 307)(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _shown(self, path: str, scope: Scope) -> str:
        """Where the client finds `path`, with the query that it sent."""
        route = self._prefixes.route
        if path.startswith(route + "/"):
            path = self._prefixes.shown(Headers(scope=scope)) + path.removeprefix(route)
        query = scope["query_string"].decode("latin-1")
        return f"{path}?{query}" if query else path


class _Gzip(GZipMiddleware):
    """Compression for who takes it; Starlette's looks for the word only, even where it is refused."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["headers"] = agreed(scope["headers"])
        await super().__call__(scope, receive, send)
