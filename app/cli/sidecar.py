"""`crossrealm sidecar`: its options."""

import sys
from typing import Any

import rich_click as click

from app.cli.compatibility import WARNINGS, deviations
from app.cli.listeners import certificate_options, grpc_options, http_options, log_options
from app.cli.options import COUNT, DURATION, EXIT_CODES, HELP, PUT_OFF, SIZE, fail, option, options
from app.errors import ConfigError

_COMMAND = "crossrealm sidecar"

_PROMETHEUS = options(
    _COMMAND,
    "Prometheus",
    option(
        "prometheus_url",
        "--prometheus.url",
        metavar="URL",
        default="http://localhost:9090",
        help="Where its API is.",
    ),
    option(
        "prometheus_get_config_interval",
        "--prometheus.get_config_interval",
        type=DURATION,
        default="30s",
        help="Between two looks at its configuration, which are the heartbeat too.",
    ),
    option(
        "prometheus_get_config_timeout",
        "--prometheus.get_config_timeout",
        type=DURATION,
        default="30s",
        help="Time limit of one.",
    ),
    option(
        "prometheus_http_client_file",
        "--prometheus.http-client-file",
        metavar="FILE",
        default="",
        help="How to reach it: TLS, authentication, proxy. Its certificates are followed live.",
    ),
    option(
        "prometheus_http_client",
        "--prometheus.http-client",
        metavar="YAML",
        default="",
        help="The same, as content.",
    ),
    option(
        "tsdb_path",
        "--tsdb.path",
        metavar="DIR",
        default="./data",
        help="Accepted; nothing is read there, since no blocks are uploaded.",
    ),
)

_STORE = options(
    _COMMAND,
    "Store API",
    option(
        "min_time",
        "--min-time",
        metavar="TIME",
        default="0000-01-01T00:00:00Z",
        help="Nothing older is served: a time, or a duration such as -2w.",
    ),
    option(
        "store_limits_request_series",
        "--store.limits.request-series",
        type=COUNT,
        default=0,
        help="Series that one call may return; beyond it the call fails. 0 is no limit.",
    ),
    option(
        "store_limits_request_samples",
        "--store.limits.request-samples",
        type=COUNT,
        default=0,
        help="Samples likewise, counted as 120 for each chunk.",
    ),
    option(
        "sidecar_resort_buffer",
        "--sidecar.resort-buffer",
        type=SIZE,
        default="256MiB",
        help="What an answer may take up that has to be sorted here, because series have a label of their own"
        " under an external label's name.",
    ),
)


@click.command(epilog=EXIT_CODES, context_settings=HELP)
@_PROMETHEUS
@_STORE
@certificate_options(_COMMAND)
@grpc_options(_COMMAND)
@http_options(_COMMAND)
@log_options(_COMMAND)
@deviations("sidecar")
@click.pass_context
def sidecar(ctx: click.Context, /, **given: Any) -> None:
    """Serve the Store API in front of one Prometheus."""
    from app.config.sidecar_flags import SidecarFlags, sidecar_settings

    try:
        settings = sidecar_settings(
            SidecarFlags(**given), ctx.meta.get(PUT_OFF, ()), ctx.meta.get(WARNINGS, ())
        )
        from app.sidecar.server import run_sidecar

        sys.exit(run_sidecar(settings))
    except ConfigError as error:
        fail(error)
