"""Metrics of file SD, under the names that Prometheus gives them."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class DiscoveryMetrics:
    """Mutable: instruments, fed by file SD alone."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.read_errors = Counter(
            "prometheus_sd_file_read_errors_total",
            "Files of file SD that could not be read or parsed; the last good list went on.",
            registry=registry,
        )
        self.mtime = Gauge(
            "prometheus_sd_file_mtime_seconds",
            "Modification time of the files of file SD whose list is in use.",
            ("filename",),
            registry=registry,
        )

    def forget(self, path: str) -> None:
        """Drop the gauge of a file that is gone."""
        self.mtime.remove_by_labels({"filename": path})
