"""The HTTP paths that every server has: probes and metrics."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio.to_thread
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

Ready = Callable[[], tuple[bool, str]]
"""Whether the server may be asked; if not, why."""


def make_site(
    server_ready: Ready,
    registry: CollectorRegistry,
    *,
    index: str,
    routes: Sequence[Route] = (),
    headers: Callable[[], Mapping[str, str]] = dict,
) -> Starlette:
    """The ASGI application.

    :param index: the text of the page that lists the paths.
    :param routes: beside those that every server has.
    :param headers: to be added to every answer, as of now.
    """

    async def front(_: Request) -> Response:
        return PlainTextResponse(index)

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("OK")

    async def ready(_: Request) -> Response:
        is_ready, reason = server_ready()
        return PlainTextResponse("OK") if is_ready else PlainTextResponse(f"not ready: {reason}", 503)

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        content = await anyio.to_thread.run_sync(encode, registry)
        return Response(content, headers={"content-type": content_type})

    routes = [
        Route("/", front),
        Route("/-/healthy", healthy),
        Route("/-/ready", ready),
        Route("/metrics", metrics),
        *routes,
    ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(
                BaseHTTPMiddleware,
                dispatch=_observed(registry, {route.path for route in routes}, headers),
            ),
            Middleware(GZipMiddleware, minimum_size=1024),
        ],
    )


def _observed(
    registry: CollectorRegistry, paths: set[str], headers: Callable[[], Mapping[str, str]]
) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    """Middleware that counts and times requests, under Thanos's names."""
    requests = Counter("http_requests", "HTTP requests.", ("code", "handler", "method"), registry=registry)
    duration = Histogram(
        "http_request_duration_seconds",
        "How long HTTP requests took.",
        ("code", "handler", "method"),
        buckets=(0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60),
        registry=registry,
    )

    async def observe(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        begun = time.monotonic()
        response = await answer(request)
        handler = request.url.path if request.url.path in paths else "other"
        labels = (str(response.status_code), handler, request.method.lower())
        requests.labels(*labels).inc()
        duration.labels(*labels).observe(time.monotonic() - begun)
        response.headers["x-content-type-options"] = "nosniff"
        response.headers.update(headers())
        return response

    return observe
