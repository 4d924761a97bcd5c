"""`crossrealm query`: its options."""

import sys
from typing import Any

import rich_click as click

from app.cli.compatibility import WARNINGS, deviations
from app.cli.listeners import certificate_options, grpc_options, http_options, log_options
from app.cli.options import (
    DURATION,
    EXIT_CODES,
    HELP,
    PUT_OFF,
    SIZE,
    Choice,
    fail,
    given_flags,
    many,
    option,
    options,
)
from app.cli.promql import partial_response_options, promql_options, tenancy_options, web_options
from app.errors import ConfigError

_COMMAND = "crossrealm query"

_ENDPOINTS = options(
    _COMMAND,
    "Endpoints",
    option(
        "endpoints_config",
        "--endpoints.config",
        "--endpoint.config",
        "--endpoint-config",
        metavar="FILE",
        default="",
        help="File of endpoint groups, each with its own TLS or none. Excludes the other flags here and below"
        " that name endpoints and their TLS.",
    ),
    option(
        "endpoint_sd_config_file",
        "--endpoint.sd-config-file",
        metavar="FILE",
        default="",
        help="The same in Thanos's format: endpoints, each with settings of its own.",
    ),
    option(
        "endpoint_sd_config",
        "--endpoint.sd-config",
        metavar="CONTENT",
        default="",
        help="The same, as content.",
    ),
    option(
        "endpoints_config_reload",
        "--endpoints.config.reload/--no-endpoints.config.reload",
        default=True,
        help="Follow these files. Without it they are read at start; certificates and file SD stay live.",
    ),
    option(
        "endpoint_sd_config_reload_interval",
        "--endpoint.sd-config-reload-interval",
        type=DURATION,
        default="5m",
        help="Between two looks at these files, beside what the kernel tells of changes.",
    ),
    many("endpoint", "--endpoint", "--store", metavar="HOST:PORT", help="Endpoint. Repeatable."),
    many(
        "endpoint_strict",
        "--endpoint.strict",
        "--endpoint-strict",
        "--store.strict",
        "--store-strict",
        metavar="HOST:PORT",
        help="Endpoint that is always asked, even while its health check fails. Repeatable.",
    ),
    many(
        "endpoint_group",
        "--endpoint-group",
        metavar="HOST:PORT",
        help="Name whose addresses are one endpoint: each call goes to one of them, in turn. Repeatable.",
    ),
    many(
        "endpoint_group_strict",
        "--endpoint-group-strict",
        metavar="HOST:PORT",
        help="The same, always asked. Repeatable.",
    ),
    many(
        "endpoint_sd_files",
        "--endpoint.sd-files",
        "--store.sd-files",
        metavar="GLOB",
        help="Files with endpoints, in Prometheus file SD format, followed live. Repeatable.",
    ),
    option(
        "store_sd_interval",
        "--store.sd-interval",
        type=DURATION,
        default="5m",
        help="Between two looks at them.",
    ),
    option(
        "store_sd_dns_interval",
        "--store.sd-dns-interval",
        type=DURATION,
        default="30s",
        help="Between two lookups of a name (dns+, dnssrv+, dnssrvnoa+, dnsdualstack+).",
    ),
    option(
        "store_sd_dns_server",
        "--store.sd-dns-server",
        metavar="HOST:PORT",
        default="",
        help="DNS server to ask. Default: names are looked up as the system does it.",
    ),
    option(
        "store_sd_dns_resolver",
        "--store.sd-dns-resolver",
        metavar="NAME",
        default="",
        help="Accepted; there is one resolver.",
    ),
    option(
        "endpoint_info_timeout",
        "--endpoint.info-timeout",
        type=DURATION,
        default="5s",
        help="Time limit of the health check, which is an Info call every 5 s.",
    ),
    option(
        "store_unhealthy_timeout",
        "--store.unhealthy-timeout",
        type=DURATION,
        default="5m",
        help="After it the metadata of an unhealthy endpoint is forgotten; it stays listed.",
    ),
    option(
        "store_response_timeout",
        "--store.response-timeout",
        type=DURATION,
        default="0",
        help="How long an answer waits for one endpoint; 0 is no limit.",
    ),
)

_FLAG_TLS = options(
    _COMMAND,
    "TLS of the endpoints given by flags",
    option("secure", "--secure/--no-secure", default=False, help="Use TLS. --endpoints.config replaces it."),
    option("cert", "--cert", metavar="FILE", default="", help="Client certificate."),
    option("key", "--key", metavar="FILE", default="", help="Client key."),
    option("ca_cert", "--caCert", metavar="FILE", default="", help="CA bundle; unset: the system's roots."),
    option("server_name", "--serverName", metavar="NAME", default="", help="Name to verify."),
    option(
        "grpc_client_tls_secure",
        "--grpc-client-tls-secure/--no-grpc-client-tls-secure",
        default=False,
        help="Use TLS, as thanos query spells it today.",
    ),
    option(
        "grpc_client_tls_cert",
        "--grpc-client-tls-cert",
        metavar="FILE",
        default="",
        help="Client certificate.",
    ),
    option("grpc_client_tls_key", "--grpc-client-tls-key", metavar="FILE", default="", help="Client key."),
    option("grpc_client_tls_ca", "--grpc-client-tls-ca", metavar="FILE", default="", help="CA bundle."),
    option(
        "grpc_client_server_name",
        "--grpc-client-server-name",
        metavar="NAME",
        default="",
        help="Name to verify.",
    ),
    option(
        "grpc_client_tls_skip_verify",
        "--grpc-client-tls-skip-verify/--no-grpc-client-tls-skip-verify",
        default=False,
        help="Do not verify the endpoints' certificates.",
    ),
    option(
        "grpc_client_tls_min_version",
        "--grpc-client-tls-min-version",
        metavar="VERSION",
        default="",
        help="1.2 or 1.3. Default 1.3.",
    ),
)

_TLS = certificate_options(
    _COMMAND,
    option(
        "tls_startup",
        "--tls.startup",
        type=Choice(["lenient", "strict"]),
        default="lenient",
        help="strict: client material that cannot be used at start is an error;"
        " lenient: its group starts down.",
    ),
)

_GRPC = grpc_options(
    _COMMAND,
    many(
        "grpc_server_identity_matchers",
        "--grpc-server-identity-matchers",
        metavar="IDENTITY={MATCHERS}",
        help="What clients with this identity may see, over every API; without it, everything. Repeatable.",
    ),
)

_HTTP = http_options(
    _COMMAND,
    option(
        "web_hide_tls",
        "--web.hide-tls/--no-web.hide-tls",
        default=False,
        help="Leave the certificates out of /api/v1/stores.",
    ),
    option(
        "web_enable_lifecycle",
        "--web.enable-lifecycle/--no-web.enable-lifecycle",
        default=False,
        help="Let POST /-/reload read all files again.",
    ),
    *web_options(),
)

_QUERY = options(
    _COMMAND,
    "Query",
    many(
        "selector_label",
        "--selector-label",
        metavar='NAME="VALUE"',
        help="The querier's own labels, announced to queriers above. Repeatable.",
    ),
    option(
        "selector_relabel_config",
        "--selector.relabel-config",
        metavar="CONTENT",
        default="",
        help="Relabeling rules (keep, drop, hashmod) that choose by external labels which data of the"
        " endpoints is asked for. $(NAME) is the environment's.",
    ),
    option(
        "selector_relabel_config_file",
        "--selector.relabel-config-file",
        metavar="FILE",
        default="",
        help="The same in a file, which is read at start.",
    ),
    many(
        "query_conn_metric_label",
        "--query.conn-metric.label",
        metavar="NAME",
        help="Labels of thanos_store_nodes_grpc_connections: external_labels, store_type. Default: both."
        " Repeatable.",
    ),
    many(
        "query_replica_label",
        "--query.replica-label",
        metavar="NAMES",
        help="Labels that tell replicas apart: rules, targets and exemplars that differ in nothing else are"
        " one. A name, or several with commas. Repeatable.",
    ),
    option(
        "query_missing_endpoints",
        "--query.missing-endpoints",
        type=Choice(["warn", "error", "ignore"]),
        default="warn",
        help="What an endpoint does to an answer that it is missing from, being unhealthy.",
    ),
    option(
        "query_resort_buffer",
        "--query.resort-buffer",
        type=SIZE,
        default="256MiB",
        help="What one endpoint's answer may take up when it has to be sorted here.",
    ),
    option(
        "grpc_compression",
        "--grpc-compression",
        type=Choice(["none", "snappy"]),
        default="none",
        help="Of gRPC messages to endpoints whose group does not say.",
    ),
    option(
        "grpc_client_max_message_size",
        "--grpc-client-max-message-size",
        type=SIZE,
        default=2**31 - 1,
        help="Of an answer's message. Default: Thanos's, 2147483647.",
        show_default=False,
    ),
)


@click.command(epilog=EXIT_CODES, context_settings=HELP)
@_ENDPOINTS
@_FLAG_TLS
@_TLS
@_GRPC
@_HTTP
@_QUERY
@promql_options(_COMMAND)
@partial_response_options(_COMMAND)
@tenancy_options(_COMMAND)
@log_options(_COMMAND)
@deviations("query")
@click.pass_context
def query(ctx: click.Context, /, **given: Any) -> None:
    """Serve the Store API and the API of Prometheus over all endpoints."""
    from app.config.query_flags import QueryFlags, query_settings

    try:
        settings = query_settings(
            QueryFlags(**given),
            ctx.meta.get(PUT_OFF, ()),
            ctx.meta.get(WARNINGS, ()),
            given_flags(ctx),
        )
        from app.querier import run_query

        sys.exit(run_query(settings))
    except ConfigError as error:
        fail(error)
