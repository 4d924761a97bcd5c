"""Metrics of the client side. Labels are bounded by the configuration: groups, never addresses."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.rpc.method_metrics import MethodsMetrics

HANDLING = (0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120)
"""Seconds: buckets of how long calls take, as Thanos has them."""


AGES = (1, 10, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
"""Seconds: buckets of the age of connections."""


class ClientMetrics(MethodsMetrics):
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
        self.age = Histogram(
            "crossrealm_client_connection_age_seconds",
            "How old a connection to an endpoint was when it was closed.",
            ("group",),
            buckets=AGES,
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
        super().__init__()
        # Names and labels of go-grpc-prometheus.
        method = ("grpc_type", "grpc_service", "grpc_method")
        self.started = Counter(
            "grpc_client_started_total", "Calls to endpoints that were begun.", method, registry=registry
        )
        self.handled = Counter(
            "grpc_client_handled_total",
            "Calls to endpoints that have ended, by status.",
            (*method, "grpc_code"),
            registry=registry,
        )
        self.received = Counter(
            "grpc_client_msg_received_total", "Messages of endpoints.", method, registry=registry
        )
        self.sent = Counter("grpc_client_msg_sent_total", "Messages to endpoints.", method, registry=registry)
        self.handling = Histogram(
            "grpc_client_handling_seconds",
            "How long calls to endpoints took.",
            method,
            buckets=HANDLING,
            registry=registry,
        )
