"""Flags about queries, tenants and prefixes."""

from unittest.mock import patch

import pytest
from click.testing import CliRunner

from app.cli import cli
from app.config.model import QuerySettings
from app.config.query_flags import QueryFlags, query_settings
from app.config.query_options import PartialResponse, QueryOptions, TenancyOptions
from tests.unit.config.test_query_flags import faults


def run(*arguments: str) -> QuerySettings:
    """The settings that a server would be started with."""
    taken: list[QuerySettings] = []

    def keep(settings: QuerySettings) -> int:
        taken.append(settings)
        return 0

    with patch("app.querier.run_query", keep):
        result = CliRunner().invoke(cli, ["query", *arguments])
    assert result.exit_code == 0, result.output
    return taken[0]


def test_defaults_are_those_of_thanos() -> None:
    assert run().query == query_settings(QueryFlags()).query == QueryOptions()
    http = run().http
    assert (http.route_prefix, http.external_prefix, http.prefix_header, http.cors) == ("", "", "", True)


def test_every_flag_has_its_option() -> None:
    found = run(
        "--query.promql-engine=thanos",
        "--query.timeout=1m",
        "--query.max-concurrent=3",
        "--query.max-concurrent-select=2",
        "--query.lookback-delta=10m",
        "--no-query.dynamic-lookback-delta",
        "--query.auto-downsampling",
        "--query.instant.default.max_source_resolution=1h",
        "--query.default-step=5s",
        "--query.default-evaluation-interval=30s",
        "--query.metadata.default-time-range=1d",
        "--no-query.partial-response",
        "--no-rule.partial-response",
        "--no-target.partial-response",
        "--no-metric-metadata.partial-response",
        "--no-exemplar.partial-response",
        "--no-status.partial-response",
        "--deduplication.func=chain",
        "--alert.query-url=https://q.example",
        "--query.active-query-path=/var/lib/q",
        "--store.limits.request-series=7",
        "--store.limits.request-samples=8",
        "--query.tenant-header=X-T",
        "--query.default-tenant-id=d",
        "--query.tenant-label-name=team",
        "--query.enforce-tenancy",
        "--query.tenant-certificate-field=organization",
        "--http.config=web.yml",
    )
    assert found.query == QueryOptions(
        engine="thanos",
        timeout=60.0,
        max_concurrent=3,
        max_concurrent_select=2,
        lookback=600.0,
        dynamic_lookback=False,
        auto_downsampling=True,
        instant_resolution=3600.0,
        default_step=5.0,
        evaluation_interval=30.0,
        metadata_time_range=86400.0,
        partial_response=PartialResponse(
            query=False, rules=False, targets=False, metadata=False, exemplars=False, status=False
        ),
        chain=True,
        alert_query_url="https://q.example",
        active_query_path="/var/lib/q",
        series_limit=7,
        samples_limit=8,
        tenancy=TenancyOptions(
            header="X-T", default="d", label="team", enforced=True, certificate_field="organization"
        ),
    )
    shown = dict(found.flags)
    assert shown["query.timeout"] == "1m"
    assert shown["query.enforce-tenancy"] == "true"
    assert shown["query.partial-response"] == "false"
    assert shown["query.max-concurrent"] == "3"
    assert "help" not in shown


@pytest.mark.parametrize(
    ("arguments", "route", "external"),
    [
        ((), "", ""),
        (("--web.route-prefix=a/",), "/a", ""),
        (("--web.external-prefix=/x",), "/x", "/x"),
        (("--web.external-prefix=/x", "--web.route-prefix=/"), "", "/x"),
        (("--web.external-prefix=http://h/x/", "--web.route-prefix=/y"), "/y", "/x"),
    ],
)
def test_prefixes(arguments: tuple[str, ...], route: str, external: str) -> None:
    http = run(*arguments, "--web.prefix-header=X-P", "--web.disable-cors").http
    assert (http.route_prefix, http.external_prefix) == (route, external)
    assert (http.prefix_header, http.cors) == ("X-P", False)


def test_faults_are_told_all_at_once() -> None:
    found = faults(
        query_timeout=0.0,
        query_max_concurrent=0,
        query_max_concurrent_select=-1,
        query_lookback_delta=0.0,
        query_default_step=0.0,
        query_default_evaluation_interval=0.0,
        store_limits_request_series=-1,
        store_limits_request_samples=-1,
        alert_query_url="q.example",
        query_tenant_header="",
        query_default_tenant_id="",
        query_tenant_label_name="",
        query_tenant_certificate_field="commonName",
    )
    assert [fault.partition(": ")[0] for fault in found] == [
        "--query.timeout",
        "--query.lookback-delta",
        "--query.default-step",
        "--query.default-evaluation-interval",
        "--query.max-concurrent",
        "--query.max-concurrent-select",
        "--store.limits.request-series",
        "--store.limits.request-samples",
        "--alert.query-url",
        "--query.tenant-header",
        "--query.default-tenant-id",
        "--query.tenant-label-name",
        "--query.tenant-certificate-field",
    ]
