"""The engine put together, for a server and for the command line."""

from prometheus_client import CollectorRegistry

from app.config.query_options import QueryOptions
from app.endpoints.model import EndpointSource
from app.engine.active import ActiveQueries
from app.engine.metrics import EngineMetrics
from app.engine.querying import QueryEngine, engine_options
from app.engine.select.fetch import Selecting
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions


def assembled(
    source: EndpointSource,
    fanout: FanoutOptions,
    metrics: FanoutMetrics,
    options: QueryOptions,
    registry: CollectorRegistry,
    *,
    active: ActiveQueries | None = None,
) -> QueryEngine:
    """An engine over the endpoints of `source`.

    :param metrics: of the fan-out, which fetching series counts into.
    :param registry: for the metrics of the engine itself.
    :param active: writes down what runs; None: nobody does.
    """
    return QueryEngine(
        Selecting(source, fanout, metrics),
        engine_options(options),
        EngineMetrics(registry),
        threads=options.max_concurrent,
        active=active,
    )
