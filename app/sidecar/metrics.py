"""Metrics of the sidecar, under Thanos's names where it has them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class SidecarMetrics:
    """Mutable: instruments, fed by the heartbeat and by Series calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Gauge(
            "thanos_sidecar_prometheus_up",
            "1 while Prometheus answered the last heartbeat.",
            registry=registry,
        )
        self.last_heartbeat = Gauge(
            "thanos_sidecar_last_heartbeat_success_time_seconds",
            "When Prometheus answered a heartbeat last.",
            registry=registry,
        )
        self.frames = Histogram(
            "prometheus_store_received_frames",
            "Frames of a streamed remote read.",
            buckets=(10, 100, 1000, 10_000, 100_000),
            registry=registry,
        )
        self.series = Counter("crossrealm_sidecar_series_total", "Series that were sent.", registry=registry)
        self.read_bytes = Counter(
            "crossrealm_sidecar_remote_read_bytes_total", "Bytes of remote reads.", registry=registry
        )
        self.resorted = Counter(
            "crossrealm_sidecar_resorted_total",
            "Series calls whose answer was sorted here, since series have a label of their own under an"
            " external label's name.",
            registry=registry,
        )
        self.sampled = Counter(
            "crossrealm_sidecar_sampled_reads_total",
            "Remote reads that Prometheus answered with samples, which were encoded again here.",
            registry=registry,
        )
