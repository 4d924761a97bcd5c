"""An API over endpoints and an engine that are made up."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from starlette.routing import Route
from starlette.types import ASGIApp

from app.config.model import QuerySettings
from app.endpoints.model import EndpointView
from app.engine.model import Annotations, Scalar, Value
from app.engine.promql.parser import parse
from app.engine.request import Answer, Columnar, QueryRequest
from app.fanout.apis.proxies import Proxies
from app.fanout.fanout import Fanout
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions
from app.services.apis import METHODS, path
from app.web.api.routes import routes
from app.web.prefix import Prefixes
from app.web.site import make_site
from tests.unit.fanout.answers import FakeEndpoints

NOW = 1_700_000_000.25
"""Seconds since the epoch."""


class FakeEngine:
    """Mutable: the requests that came; the test sets what is answered, or raised."""

    def __init__(self, value: Value | Columnar | None = None) -> None:
        self.requests: list[QueryRequest] = []
        self.value: Value | Columnar = value or Scalar(1000, 2.0)
        self.annotations = Annotations()
        self.warnings: Sequence[str] = ()
        self.stats: Mapping[str, Any] | None = None
        self.analysis: Mapping[str, Any] | None = None
        self.error: Exception | None = None

    async def query(self, request: QueryRequest) -> Answer:
        self.requests.append(request)
        parse(request.text)
        if self.error is not None:
            raise self.error
        return Answer(self.value, self.annotations, self.warnings, self.stats, self.analysis)

    def explain(self, request: QueryRequest) -> Mapping[str, Any]:
        self.requests.append(request)
        return {"name": str(parse(request.text)), "children": []}


def site(
    engine: FakeEngine | None = None,
    *views: EndpointView,
    settings: QuerySettings | None = None,
    before: Sequence[Route] = (),
) -> ASGIApp:
    """The whole site.

    :param before: routes of the API that stand before the others.
    """
    settings, registry = settings or QuerySettings(), CollectorRegistry()
    options = FanoutOptions(
        replica_labels=settings.replica_labels, missing_endpoints=settings.missing_endpoints
    )
    endpoints, metrics = FakeEndpoints(*views), FanoutMetrics(registry)
    fanout = Fanout(endpoints, options, metrics)
    proxies = Proxies(endpoints, options, metrics, {api: path(api) for api in METHODS})
    made = routes(engine or FakeEngine(), fanout, proxies, settings, registry, now=lambda: NOW, before=before)
    return make_site(
        lambda: (True, ""),
        registry,
        index="paths",
        routes=[*before, *made],
        prefixes=Prefixes.of(settings.http),
    )


@asynccontextmanager
async def client(
    engine: FakeEngine | None = None, *views: EndpointView, settings: QuerySettings | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(site(engine, *views, settings=settings), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made
