"""All paths of the API."""

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match, Route

from app.config.model import QuerySettings
from app.engine.gate import Gate
from app.engine.promql.features import NO_FEATURES, Features
from app.engine.request import Engine
from app.fanout.apis.proxies import Proxies
from app.fanout.fanout import Fanout
from app.web.api.envelope import CORS, nothing
from app.web.api.handling import Endpoint, Handler
from app.web.api.labels import Labels
from app.web.api.language import Language
from app.web.api.proxied import Proxied
from app.web.api.queries import Queries
from app.web.api.status import Status

API = "/api/v1"
GET, BOTH = ("GET",), ("GET", "POST")


class _Path(msgspec.Struct, frozen=True):
    path: str
    methods: tuple[str, ...]
    handler: Handler


def routes(
    engine: Engine | None,
    fanout: Fanout,
    proxies: Proxies,
    settings: QuerySettings,
    registry: CollectorRegistry,
    *,
    gate: Gate | None = None,
    features: Features = NO_FEATURES,
    now: Callable[[], float] = time.time,
    before: Sequence[Route] = (),
) -> list[Route]:
    """Of the API, but `/stores`, which has to stand before them.

    :param engine: None: queries are not served.
    :param gate: of all queries, whoever asks; None: one for these paths.
    :param features: parts of PromQL that are switched on, for `/format_query` and `/parse_query`.
    :param now: seconds since the epoch.
    :param before: routes of the API that stand before these, for what other methods are told.
    """
    options = settings.query
    paths: list[_Path] = []
    if engine is not None:
        gate = gate or Gate(options.max_concurrent, registry)
        queries = Queries(engine, gate, options, settings.replica_labels, now)
        paths += [
            _Path("/query", BOTH, queries.instant),
            _Path("/query_range", BOTH, queries.range),
            _Path("/query_explain", BOTH, queries.explain_instant),
            _Path("/query_range_explain", BOTH, queries.explain_range),
        ]
    labels = Labels(fanout, options, settings.replica_labels, now)
    paths += [
        _Path("/labels", BOTH, labels.names),
        _Path("/label/{name}/values", GET, labels.values),
        _Path("/series", BOTH, labels.series),
    ]
    proxied, status, language = (
        Proxied(proxies, options),
        Status(dict(settings.flags), now),
        Language(features),
    )
    paths += [
        _Path("/rules", GET, proxied.rules),
        _Path("/alerts", GET, proxied.alerts),
        _Path("/targets", GET, proxied.targets),
        _Path("/metadata", GET, proxied.metadata),
        _Path("/query_exemplars", BOTH, proxied.exemplars),
        _Path("/status/tsdb", GET, proxied.tsdb),
        _Path("/status/buildinfo", GET, status.build),
        _Path("/status/flags", GET, status.flags),
        _Path("/status/runtimeinfo", GET, status.runtime),
        _Path("/format_query", BOTH, language.formatted),
        _Path("/parse_query", BOTH, language.parsed),
    ]
    return _routes(paths, settings, before)


def _routes(paths: Sequence[_Path], settings: QuerySettings, before: Sequence[Route]) -> list[Route]:
    prefix = settings.http.route_prefix + API
    cors = CORS if settings.http.cors else {}
    found = [
        Route(
            prefix + each.path,
            Endpoint(each.handler, cors=cors).answer,
            methods=list(each.methods),
        )
        for each in paths
    ]
    return [*found, _rest(prefix, [*before, *found], cors)]


def _rest(prefix: str, known: Sequence[Route], cors: Mapping[str, str]) -> Route:
    """What no path of the API answers: OPTIONS, which browsers ask before they ask, and mistakes."""

    async def rest(request: Request) -> Response:
        if request.method == "OPTIONS":
            return nothing(cors)
        partial = [route for route in known if route.matches(request.scope)[0] is Match.PARTIAL]
        if partial:
            allowed = ", ".join(sorted({"OPTIONS"}.union(*(route.methods or () for route in partial))))
            return PlainTextResponse("Method Not Allowed", 405, headers={"allow": allowed, **cors})
        return PlainTextResponse("404 page not found", 404, headers=cors)

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Route(prefix + "/{rest:path}", rest, methods=methods)
