"""Metrics of the fan-out."""

from prometheus_client import CollectorRegistry, Counter, Histogram

SERIES = (10, 100, 1000, 10_000, 100_000)
"""Series that calls are told apart by, as Thanos does it."""


class FanoutMetrics:
    """Mutable: instruments, fed by the fan-out."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "crossrealm_fanout_endpoint_failures_total",
            "Endpoints that failed while they were being asked.",
            ("group", "method"),
            registry=registry,
        )
        self.missing = Counter(
            "crossrealm_fanout_missing_endpoints_total",
            "Answers that an endpoint is missing from because it is not healthy.",
            ("group", "method"),
            registry=registry,
        )
        self.series = Counter(
            "crossrealm_fanout_series_total", "Series that were merged and sent.", registry=registry
        )
        self.sent_bytes = Counter(
            "crossrealm_fanout_sent_bytes_total", "Bytes of series that were sent.", registry=registry
        )
        self.resorted = Counter(
            "crossrealm_fanout_resorted_streams_total",
            "Streams that were sorted here, since the endpoint did not send them in order.",
            ("group",),
            registry=registry,
        )
        # Under Thanos's name and labels. Samples are not counted where chunks are not decoded.
        self.duration = Histogram(
            "thanos_store_api_query_duration_seconds",
            "How long Series calls took, by how many series they returned; samples_le is always +Inf.",
            ("series_le", "samples_le"),
            buckets=(0.1, 0.25, 0.75, 1.25, 1.75, 2.5, 3, 5, 10),
            registry=registry,
        )
        self.asked = Histogram(
            "crossrealm_fanout_endpoints_asked",
            "Endpoints that a request was sent to.",
            ("method",),
            buckets=(0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            registry=registry,
        )

    def took(self, seconds: float, series: int) -> None:
        """A Series call is over.

        :param series: that it returned.
        """
        label = next((str(bound) for bound in SERIES if series <= bound), "+Inf")
        self.duration.labels(label, "+Inf").observe(seconds)
