"""Metrics of the listeners."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.errors import Code
from app.rpc.method_metrics import MethodsMetrics
from app.rpc.metrics import AGES, HANDLING
from app.rpc.model import UNARY, Service


class ServerMetrics(MethodsMetrics):
    """Mutable: instruments, fed by acceptors and listeners."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
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
            buckets=AGES,
            registry=registry,
        )
        self.streams = Gauge(
            "crossrealm_server_streams", "Calls of clients in flight.", ("listener",), registry=registry
        )
        # Names, labels and buckets of go-grpc-prometheus, as Thanos sets it up.
        method = ("grpc_type", "grpc_service", "grpc_method")
        self.started = Counter(
            "grpc_server_started_total", "Calls that were begun.", method, registry=registry
        )
        self.handled = Counter(
            "grpc_server_handled_total",
            "Calls that have ended, by status.",
            (*method, "grpc_code"),
            registry=registry,
        )
        self.received = Counter(
            "grpc_server_msg_received_total", "Messages of clients.", method, registry=registry
        )
        self.sent = Counter(
            "grpc_server_msg_sent_total",
            "Messages that were sent; those of a Series call that were written together count once.",
            method,
            registry=registry,
        )
        self.handling = Histogram(
            "grpc_server_handling_seconds",
            "How long calls took.",
            method,
            buckets=HANDLING,
            registry=registry,
        )

    def known(self, services: Sequence[Service]) -> None:
        """Show the methods that are served from the start, not from their first call on."""
        for service in services:
            for method in service.methods:
                labels = (service.streaming.get(method, UNARY), service.name, method)
                for counter in (self.started, self.received, self.sent):
                    counter.labels(*labels)
                self.handling.labels(*labels)
                for code in Code:
                    self.handled.labels(*labels, code.go_name)
