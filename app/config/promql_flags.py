"""What the flags say about queries and tenants, for `app.config.query_flags`."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from app.config.listener_flags import ListenerFlags, ListenerReader
from app.config.query_options import (
    ALWAYS_ON,
    FEATURES,
    PartialResponse,
    QueryOptions,
    TenancyOptions,
    TenantField,
)
from app.errors import Problem


class PromqlFlags(ListenerFlags, frozen=True, kw_only=True):
    """The flags as they were given; durations are seconds."""

    query_promql_engine: str = "prometheus"
    query_timeout: float = 120.0
    query_max_concurrent: int = 20
    query_max_concurrent_select: int = 4
    query_lookback_delta: float = 300.0
    query_dynamic_lookback_delta: bool = True
    query_auto_downsampling: bool = False
    query_instant_default_max_source_resolution: float = 0.0
    query_default_step: float = 1.0
    query_default_evaluation_interval: float = 60.0
    query_metadata_default_time_range: float = 0.0
    query_partial_response: bool = True
    rule_partial_response: bool = True
    target_partial_response: bool = True
    metric_metadata_partial_response: bool = True
    exemplar_partial_response: bool = True
    status_partial_response: bool = True
    deduplication_func: str = "penalty"
    alert_query_url: str = ""
    query_active_query_path: str = ""
    store_limits_request_series: int = 0
    store_limits_request_samples: int = 0
    query_max_samples: int = 50_000_000
    query_max_memory: int = 2 * 1024**3
    query_log_queries_longer_than: float = 0.0
    enable_feature: tuple[str, ...] = ()
    query_tenant_header: str = "THANOS-TENANT"
    query_default_tenant_id: str = "default-tenant"
    query_tenant_label_name: str = "tenant_id"
    query_enforce_tenancy: bool = False
    query_tenant_certificate_field: str = ""


class PromqlReader(ListenerReader):
    """Mutable: the problems found so far."""

    def __init__(self, flags: PromqlFlags, problems: Sequence[Problem]) -> None:
        super().__init__(flags, problems)
        self._promql = flags

    def query_options(self) -> QueryOptions:
        flags = self._promql
        for flag, seconds in (
            ("--query.timeout", flags.query_timeout),
            ("--query.lookback-delta", flags.query_lookback_delta),
            ("--query.default-step", flags.query_default_step),
            ("--query.default-evaluation-interval", flags.query_default_evaluation_interval),
        ):
            self.not_zero(flag, seconds)
        for flag, count, least in (
            ("--query.max-concurrent", flags.query_max_concurrent, 1),
            ("--query.max-concurrent-select", flags.query_max_concurrent_select, 1),
            ("--store.limits.request-series", flags.store_limits_request_series, 0),
            ("--store.limits.request-samples", flags.store_limits_request_samples, 0),
            ("--query.max-samples", flags.query_max_samples, 0),
            ("--query.max-memory", flags.query_max_memory, 0),
        ):
            if count < least:
                self.problem(flag, f"{count} is below {least}", "" if least else "0 is no limit")
        if flags.alert_query_url and urlsplit(flags.alert_query_url).scheme not in ("http", "https"):
            self.problem("--alert.query-url", f"{flags.alert_query_url!r} is not an http or https URL")
        return QueryOptions(
            engine="thanos" if flags.query_promql_engine == "thanos" else "prometheus",
            timeout=flags.query_timeout,
            max_concurrent=flags.query_max_concurrent,
            max_concurrent_select=flags.query_max_concurrent_select,
            lookback=flags.query_lookback_delta,
            dynamic_lookback=flags.query_dynamic_lookback_delta,
            auto_downsampling=flags.query_auto_downsampling,
            instant_resolution=flags.query_instant_default_max_source_resolution,
            default_step=flags.query_default_step,
            evaluation_interval=flags.query_default_evaluation_interval,
            metadata_time_range=flags.query_metadata_default_time_range,
            partial_response=PartialResponse(
                query=flags.query_partial_response,
                rules=flags.rule_partial_response,
                targets=flags.target_partial_response,
                metadata=flags.metric_metadata_partial_response,
                exemplars=flags.exemplar_partial_response,
                status=flags.status_partial_response,
            ),
            chain=flags.deduplication_func == "chain",
            alert_query_url=flags.alert_query_url,
            active_query_path=flags.query_active_query_path,
            series_limit=flags.store_limits_request_series,
            samples_limit=flags.store_limits_request_samples,
            max_samples=flags.query_max_samples,
            max_memory=flags.query_max_memory,
            slow_query=flags.query_log_queries_longer_than,
            features=self._features(),
            tenancy=self._tenancy(),
        )

    def _features(self) -> frozenset[str]:
        named = {name for text in self._promql.enable_feature for name in text.split(",") if name}
        for name in sorted(named - FEATURES - ALWAYS_ON):
            self.problem(
                "--enable-feature", f"{name!r} is not known", f"known: {', '.join(sorted(FEATURES))}"
            )
        return frozenset(named & FEATURES)

    def _tenancy(self) -> TenancyOptions:
        flags = self._promql
        for flag, text in (
            ("--query.tenant-header", flags.query_tenant_header),
            ("--query.default-tenant-id", flags.query_default_tenant_id),
            ("--query.tenant-label-name", flags.query_tenant_label_name),
        ):
            if not text:
                self.problem(flag, "it must not be empty", "leave the flag out for the default")
        field = flags.query_tenant_certificate_field
        if field and not flags.http_config:
            self.problem(
                "--query.tenant-certificate-field",
                "without TLS clients have no certificates",
                "add --http.config with tls_server_config and client_ca_file",
            )
        return TenancyOptions(
            header=flags.query_tenant_header,
            default=flags.query_default_tenant_id,
            label=flags.query_tenant_label_name,
            enforced=flags.query_enforce_tenancy,
            certificate_field=msgspec.convert(field, TenantField),
        )
