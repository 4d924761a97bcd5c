"""The HTTP paths: probes, metrics, the stores API."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import anyio.to_thread
import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.endpoints.model import Snapshot
from app.tls.model import ProviderStatus
from app.web.stores import stores

INDEX = """crossrealm query

/-/healthy        200 while the process runs
/-/ready          200 while it may be asked
/metrics          metrics for Prometheus
/api/v1/stores    endpoints, their health and their certificates
"""


class StatusSource(Protocol):
    """What the site shows."""

    def ready(self) -> tuple[bool, str]:
        """Whether the querier may be asked; if not, why."""

    def snapshot(self) -> Snapshot: ...

    def tls_status(self) -> Sequence[ProviderStatus]: ...


def make_site(
    source: StatusSource,
    registry: CollectorRegistry,
    *,
    hide_tls: bool,
    headers: Mapping[str, str] | None = None,
) -> Starlette:
    """The ASGI application.

    :param hide_tls: leave the `tls` objects out of the stores API.
    :param headers: to be added to every answer.
    """

    async def index(_: Request) -> Response:
        return PlainTextResponse(INDEX)

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("OK")

    async def ready(_: Request) -> Response:
        is_ready, reason = source.ready()
        return PlainTextResponse("OK") if is_ready else PlainTextResponse(f"not ready: {reason}", 503)

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        content = await anyio.to_thread.run_sync(encode, registry)
        return Response(content, headers={"content-type": content_type})

    async def api_stores(_: Request) -> Response:
        found = stores(source.snapshot().endpoints, source.tls_status(), hide_tls=hide_tls)
        return _json({"status": "success", "data": found})

    routes = [
        Route("/", index),
        Route("/-/healthy", healthy),
        Route("/-/ready", ready),
        Route("/metrics", metrics),
        Route("/api/v1/stores", api_stores),
    ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(
                BaseHTTPMiddleware,
                dispatch=_observed(registry, {route.path for route in routes}, headers or {}),
            ),
            Middleware(GZipMiddleware, minimum_size=1024),
        ],
    )


def _json(value: object) -> Response:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Response(msgspec.json.encode(value), headers=headers)


def _observed(
    registry: CollectorRegistry, paths: set[str], headers: Mapping[str, str]
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
        response.headers.update(headers)
        return response

    return observe
