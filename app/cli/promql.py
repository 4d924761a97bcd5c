"""Options of `crossrealm query` about queries of the HTTP API, and about tenants."""

from app.cli.options import COUNT, DURATION, MEMORY, Choice, Decorator, many, option, options


def _switch(name: str, flag: str, default: bool, text: str) -> Decorator:
    return option(name, f"--{flag}/--no-{flag}", default=default, help=text)


def _duration(name: str, flag: str, default: str, text: str) -> Decorator:
    return option(name, f"--{flag}", type=DURATION, default=default, help=text)


def web_options() -> tuple[Decorator, ...]:
    """Of the HTTP listener."""
    return (
        option(
            "web_route_prefix",
            "--web.route-prefix",
            metavar="PATH",
            default="",
            help="Of all paths but probes, metrics and reload. Default: that of --web.external-prefix.",
        ),
        option(
            "web_external_prefix",
            "--web.external-prefix",
            metavar="PATH",
            default="",
            help="Under which a reverse proxy shows these paths, for links and redirects.",
        ),
        option(
            "web_prefix_header",
            "--web.prefix-header",
            metavar="NAME",
            default="",
            help="Header in which a reverse proxy says the same. Only behind one that sets it always.",
        ),
        _switch(
            "web_disable_cors", "web.disable-cors", False, "Do not let pages of other sites ask the API."
        ),
    )


def promql_options(command: str) -> Decorator:
    """Queries."""
    return options(
        command,
        "PromQL",
        option(
            "query_promql_engine",
            "--query.promql-engine",
            type=Choice(["prometheus", "thanos"]),
            default="prometheus",
            help="Default of the engine parameter. There is one engine; only thanos may be explained.",
        ),
        _duration("query_timeout", "query.timeout", "2m", "Of a query, waiting for its turn included."),
        option(
            "query_max_concurrent",
            "--query.max-concurrent",
            type=COUNT,
            default=20,
            help="Queries at once; others wait.",
        ),
        option(
            "query_max_concurrent_select",
            "--query.max-concurrent-select",
            type=COUNT,
            default=4,
            help="Selectors of one query that are fetched at once.",
        ),
        _duration(
            "query_lookback_delta",
            "query.lookback-delta",
            "5m",
            "How long after a sample its series still has a value.",
        ),
        _switch(
            "query_dynamic_lookback_delta",
            "query.dynamic-lookback-delta",
            True,
            "Look back longer for downsampled data.",
        ),
        _switch(
            "query_auto_downsampling",
            "query.auto-downsampling",
            False,
            "A range query that names no resolution is content with samples a fifth of its step apart.",
        ),
        _duration(
            "query_instant_default_max_source_resolution",
            "query.instant.default.max_source_resolution",
            "0s",
            "The same for instant queries, as a duration.",
        ),
        _duration("query_default_step", "query.default-step", "1s", "Least step of a query that names none."),
        _duration(
            "query_default_evaluation_interval",
            "query.default-evaluation-interval",
            "1m",
            "Step of a subquery that names none.",
        ),
        _duration(
            "query_metadata_default_time_range",
            "query.metadata.default-time-range",
            "0s",
            "How far back labels and series are looked up by default; 0 is all time.",
        ),
        option(
            "deduplication_func",
            "--deduplication.func",
            type=Choice(["penalty", "chain"]),
            default="penalty",
            help="How replicas are merged: by penalty, staying with one until it has a gap; or one to one.",
        ),
        option(
            "store_limits_request_series",
            "--store.limits.request-series",
            type=COUNT,
            default=0,
            help="Series that one fetch may return; beyond it the request fails. 0 is no limit.",
        ),
        option(
            "store_limits_request_samples",
            "--store.limits.request-samples",
            type=COUNT,
            default=0,
            help="Samples likewise, counted as 120 for each chunk.",
        ),
        option(
            "query_max_samples",
            "--query.max-samples",
            type=COUNT,
            default=50_000_000,
            help="Samples that one query may hold at once; beyond it the query fails. 0 is no limit.",
        ),
        option(
            "query_max_memory",
            "--query.max-memory",
            type=MEMORY,
            default="2GiB",
            help="Memory that one query may take up at once; beyond it the query fails. 0 is no limit.",
        ),
        _duration(
            "query_log_queries_longer_than",
            "query.log-queries-longer-than",
            "0s",
            "Log queries that take longer. 0 logs none.",
        ),
        many(
            "enable_feature",
            "--enable-feature",
            metavar="NAME",
            help="Experimental part of PromQL, by Prometheus's name: promql-experimental-functions,"
            " promql-duration-expr, promql-extended-range-selectors, promql-binop-fill-modifiers,"
            " promql-delayed-name-removal. May be repeated, or list several with commas.",
        ),
        option(
            "query_active_query_path",
            "--query.active-query-path",
            metavar="DIR",
            default="",
            help="Where queries.active is kept: the queries that run, for after a crash. Default: nowhere.",
        ),
        option(
            "alert_query_url",
            "--alert.query-url",
            metavar="URL",
            default="",
            help="Where people reach this querier, for links. No page has any yet.",
        ),
    )


def partial_response_options(command: str) -> Decorator:
    """What an endpoint that fails does to an answer."""
    named = (
        ("query", "query", "queries, labels and series; the parameter partial_response overrides it"),
        ("rule", "rule", "rules and alerts"),
        ("target", "target", "targets"),
        ("metric_metadata", "metric-metadata", "metadata"),
        ("exemplar", "exemplar", "exemplars"),
        ("status", "status", "TSDB statistics"),
    )
    return options(
        command,
        "Partial response",
        *(
            _switch(
                f"{name}_partial_response",
                f"{flag}.partial-response",
                True,
                f"Answer with a warning what endpoints that fail are missing from: {what}.",
            )
            for name, flag, what in named
        ),
    )


def tenancy_options(command: str) -> Decorator:
    """Tenants of the HTTP API."""
    return options(
        command,
        "Tenants",
        option(
            "query_tenant_header",
            "--query.tenant-header",
            metavar="NAME",
            default="THANOS-TENANT",
            help="Header of HTTP requests that names the tenant; endpoints are told.",
        ),
        option(
            "query_default_tenant_id",
            "--query.default-tenant-id",
            metavar="NAME",
            default="default-tenant",
            help="Tenant of requests without it.",
        ),
        option(
            "query_tenant_certificate_field",
            "--query.tenant-certificate-field",
            type=Choice(["", "organization", "organizationalUnit", "commonName"]),
            metavar="FIELD",
            default="",
            help="Field of the client certificate that names the tenant, instead of the header:"
            " organization, organizationalUnit or commonName.",
        ),
        _switch(
            "query_enforce_tenancy",
            "query.enforce-tenancy",
            False,
            "Show nothing over HTTP but data of the request's tenant.",
        ),
        option(
            "query_tenant_label_name",
            "--query.tenant-label-name",
            metavar="NAME",
            default="tenant_id",
            help="Label that has the tenant as its value, where tenants are enforced.",
        ),
    )
