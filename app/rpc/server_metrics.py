"""Metrics of the listeners."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ServerMetrics:
    """Mutable: instruments, fed by acceptors and listeners."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.handshakes = Counter(
            "crossrealm_server_handshakes_total",
            "TLS handshakes with clients (plaintext: connections); reason is empty for result ok.",
            ("listener", "result", "reason"),
            registry=registry,
        )
        self.connections = Gauge(
            "crossrealm_server_connections", "Connections of clients.", ("listener",), registry=registry
        )
        self.recycles = Counter(
            "crossrealm_server_connection_recycles_total",
            "Connections that were drained, by what made it necessary; forced: calls were cut.",
            ("listener", "reason", "forced"),
            registry=registry,
        )
        self.age = Histogram(
            "crossrealm_server_connection_age_seconds",
            "How old a connection was when it was closed.",
            ("listener",),
            buckets=(1, 10, 60, 300, 900, 3600, 4 * 3600, 24 * 3600),
            registry=registry,
        )
        self.streams = Gauge(
            "crossrealm_server_streams", "Calls of clients in flight.", ("listener",), registry=registry
        )
        self.started = Counter(
            "grpc_server_started_total",
            "Calls that were begun.",
            ("grpc_service", "grpc_method"),
            registry=registry,
        )
        self.handled = Counter(
            "grpc_server_handled_total",
            "Calls that have ended, by status.",
            ("grpc_service", "grpc_method", "grpc_code"),
            registry=registry,
        )
        self.handling = Histogram(
            "grpc_server_handling_seconds",
            "How long calls took.",
            ("grpc_service", "grpc_method"),
            buckets=(0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120),
            registry=registry,
        )
