"""Metrics of the endpoints. What can be read off a snapshot is, at the time of the scrape."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.discovery.dns import DnsMetrics
from app.discovery.metrics import DiscoveryMetrics
from app.endpoints.info import UNKNOWN_COMPONENT
from app.endpoints.model import EndpointView, Labels, Snapshot, State

EXTERNAL_LABELS_LIMIT = 1000
"""Characters of a metric label with external labels; Thanos cuts at the same length."""


class EndpointMetrics:
    """Mutable: instruments, fed by the endpoints and their groups alone.

    :param connection_labels: labels of the metric of connections.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        connection_labels: tuple[str, ...] = ("external_labels", "store_type"),
    ) -> None:
        self.discovery = DiscoveryMetrics(registry)
        self.dns = DnsMetrics(registry)
        self.duplicates = Counter(
            "crossrealm_endpoint_duplicates_total",
            "Addresses that a group named and did not get, since another group has them.",
            ("group",),
            registry=registry,
        )
        self.restarts = Counter(
            "crossrealm_endpoint_group_restarts_total",
            "Crashes of the task of an endpoint group; each is followed by a restart.",
            ("group",),
            registry=registry,
        )
        self.info_duration = Histogram(
            "crossrealm_endpoint_info_duration_seconds",
            "Info calls to endpoints, failed ones too.",
            ("group",),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
            registry=registry,
        )
        self.info_failures = Counter(
            "crossrealm_endpoint_info_failures_total",
            "Info calls that failed, by where they failed; malformed: the answer was no Info.",
            ("group", "kind"),
            registry=registry,
        )
        self._snapshot: Callable[[], Snapshot] = lambda: Snapshot(())
        registry.register(_SnapshotCollector(self._shown, connection_labels))

    def show(self, snapshot: Callable[[], Snapshot]) -> None:
        """Read states off this from now on."""
        self._snapshot = snapshot

    def _shown(self) -> Snapshot:
        return self._snapshot()


class _SnapshotCollector(Collector):
    """Not mutable; reads the snapshot of the moment."""

    def __init__(self, snapshot: Callable[[], Snapshot], connection_labels: tuple[str, ...]) -> None:
        self._snapshot = snapshot
        self._connection_labels = connection_labels

    def describe(self) -> Iterable[Metric]:
        return [_states(()), _connections((), self._connection_labels)]

    def collect(self) -> Iterator[Metric]:
        endpoints = self._snapshot().endpoints
        yield _states(endpoints)
        yield _connections(endpoints, self._connection_labels)


def _states(endpoints: Iterable[EndpointView]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "crossrealm_endpoints", "Endpoints that are configured or discovered.", labels=("group", "state")
    )
    counts = Tally((view.group, view.state) for view in endpoints)
    for group in dict.fromkeys(group for group, _ in counts):
        for state in State:
            # Zeros too: an alert on unhealthy endpoints has to see them go away.
            family.add_metric((group, str(state)), counts[group, state])
    return family


def _connections(endpoints: Iterable[EndpointView], names: tuple[str, ...]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "thanos_store_nodes_grpc_connections",
        "Endpoints that are asked, by external labels and component.",
        labels=names,
    )
    counts = Tally(_connection_labels(view, names) for view in endpoints if view.asked)
    for labels, count in counts.items():
        family.add_metric(labels, count)
    return family


def _connection_labels(view: EndpointView, names: tuple[str, ...]) -> tuple[str, ...]:
    values = {"external_labels": "", "store_type": UNKNOWN_COMPONENT}
    if view.info is not None:
        values = {
            "external_labels": external_labels_text(view.info.label_sets),
            "store_type": view.info.component,
        }
    return tuple(values[name] for name in names)


def external_labels_text(label_sets: Iterable[Labels]) -> str:
    """``{a="1", b="2"},{a="2"}``, as Thanos writes them; cut at `EXTERNAL_LABELS_LIMIT`."""
    written = (", ".join(f'{name}="{_escaped(value)}"' for name, value in each) for each in label_sets)
    text = ",".join(sorted(f"{{{each}}}" for each in written))
    return text if len(text) <= EXTERNAL_LABELS_LIMIT else text[: EXTERNAL_LABELS_LIMIT - 1] + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
