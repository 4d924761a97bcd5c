"""Metrics of the client side. Labels are bounded by the configuration: groups, never addresses."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class ClientMetrics:
    """Mutable: instruments, fed by the channels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.handshakes = Counter(
            "crossrealm_client_handshakes_total",
            "TLS handshakes (for plaintext: connections) with endpoints; reason is empty for result ok.",
            ("group", "result", "reason"),
            registry=registry,
        )
        self.connections = Gauge(
            "crossrealm_client_connections",
            "Connections to endpoints: serving ones take new calls, draining ones finish theirs.",
            ("group", "state"),
            registry=registry,
        )
        self.recycles = Counter(
            "crossrealm_client_connection_recycles_total",
            "Connections to endpoints that were replaced, by what made it necessary.",
            ("group", "reason"),
            registry=registry,
        )
        self.calls = Counter(
            "crossrealm_client_calls_total",
            "Calls to endpoints that have ended, by gRPC status. Retries of calls that were never processed"
            " do not count.",
            ("group", "code"),
            registry=registry,
        )
        self.retries = Counter(
            "crossrealm_client_retries_total",
            "Calls made again because the endpoint never processed them or was lost before it answered.",
            ("group",),
            registry=registry,
        )
