"""How queries end, and how long they take."""

from prometheus_client import CollectorRegistry, Counter, Histogram

OUTCOMES = ("success", "error", "timeout", "canceled")


class EngineMetrics:
    """Mutable: the counters, as queries end."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._queries = Counter(
            "crossrealm_engine_queries_total",
            "Queries evaluated, by how they ended.",
            ("outcome",),
            registry=registry,
        )
        self._seconds = Histogram(
            "crossrealm_engine_query_duration_seconds",
            "How long queries took, from their text to their result.",
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
            registry=registry,
        )
        self._paths = Counter(
            "crossrealm_engine_evaluations_total",
            "Queries by what evaluated them: kernels on columns, or the reference evaluator.",
            ("path",),
            registry=registry,
        )
        for outcome in OUTCOMES:
            self._queries.labels(outcome)
        for path in ("fast", "reference"):
            self._paths.labels(path)

    def evaluated(self, path: str) -> None:
        """:param path: ``fast`` or ``reference``."""
        self._paths.labels(path).inc()

    def finished(self, outcome: str, seconds: float) -> None:
        """:param outcome: one of `OUTCOMES`."""
        self._queries.labels(outcome).inc()
        self._seconds.observe(seconds)
