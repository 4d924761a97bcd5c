"""Metrics of the certificate cache."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from app.tls.model import ProviderStatus

AUTHORITIES = 20
"""CAs of one bundle that have a gauge each; a public one has 140."""


class TlsMetrics:
    """Mutable: instruments, fed by the providers alone."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("group", "role")
        self.not_after = Gauge(
            "crossrealm_tls_not_after_timestamp_seconds",
            "When the material in force ends: the leaf, or the first CA of the bundle to end.",
            (*labels, "kind"),
            registry=registry,
        )
        self.crl_next_update = Gauge(
            "crossrealm_tls_crl_next_update_timestamp_seconds",
            "When the first CRL in force goes stale; connections are refused from then on.",
            labels,
            registry=registry,
        )
        self.generation = Gauge(
            "crossrealm_tls_generation",
            "Counts the material that was put in force; 0 is none yet.",
            labels,
            registry=registry,
        )
        self.reloads = Counter(
            "crossrealm_tls_reloads_total",
            "Files that were found changed and read, by outcome; reason is empty when they were accepted.",
            (*labels, "set", "result", "reason"),
            registry=registry,
        )
        self.last_reload_success = Gauge(
            "crossrealm_tls_last_reload_success",
            "1 when what is on disk is in force, 0 while it is refused and the last good serves.",
            (*labels, "set"),
            registry=registry,
        )

        self.refused = Gauge(
            "crossrealm_tls_material_refused",
            "1 while what is on disk is not in force, by the reason.",
            (*labels, "set", "reason"),
            registry=registry,
        )
        self.authority = Gauge(
            "crossrealm_tls_authority_not_after_timestamp_seconds",
            f"When each CA in force ends; of a bundle the {AUTHORITIES} that end first.",
            (*labels, "subject", "serial"),
            registry=registry,
        )

    def show(self, status: ProviderStatus) -> None:
        """Bring the gauges of a provider up to date."""
        labels = (status.group, str(status.role))
        self.generation.labels(*labels).set(status.generation)
        if status.leaf is not None:
            self.not_after.labels(*labels, "leaf").set(status.leaf.not_after)
        if status.authorities:
            self.not_after.labels(*labels, "ca").set(min(each.not_after for each in status.authorities))
        if status.crl_next_update is not None:
            self.crl_next_update.labels(*labels).set(status.crl_next_update)
        for name, state in (("identity", status.identity), ("trust", status.trust)):
            self.last_reload_success.labels(*labels, name).set(0 if state.refused_reason else 1)
            self.refused.remove_by_labels({"group": labels[0], "role": labels[1], "set": name})
            if state.refused_reason:
                self.refused.labels(*labels, name, state.refused_reason).set(1)
        self.authority.remove_by_labels({"group": labels[0], "role": labels[1]})
        for each in sorted(status.authorities, key=lambda each: each.not_after)[:AUTHORITIES]:
            self.authority.labels(*labels, each.subject, each.serial).set(each.not_after)

    def forget(self, group: str, role: str) -> None:
        """Drop the gauges of a provider that is gone."""
        for gauge in (
            self.not_after,
            self.crl_next_update,
            self.generation,
            self.last_reload_success,
            self.refused,
            self.authority,
        ):
            gauge.remove_by_labels({"group": group, "role": role})
