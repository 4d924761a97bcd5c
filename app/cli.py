"""The command line. Nothing heavy is imported here: `--help` answers at once."""

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import rich_click as click

from app.config.durations import parse_duration
from app.errors import ConfigError, Problem

EXIT_OK, EXIT_FAILED, EXIT_CONFIG = 0, 1, 2
EXIT_CODES = "Exit codes: 0 stopped as asked, 1 failed, 2 the configuration is at fault."


PUT_OFF = "crossrealm.problems"
"""Where a command finds what was wrong with its values, to report it together with all the rest."""


def _put_off(
    kind: click.ParamType[Any], error: ValueError, param: click.Parameter | None, ctx: click.Context | None
) -> None:
    if ctx is None or param is None or ctx.info_name != "query":
        kind.fail(str(error), param, ctx)
    ctx.meta.setdefault(PUT_OFF, []).append(Problem(param.opts[0], str(error)))


class Duration(click.ParamType[float]):
    """A duration as Prometheus writes it; seconds as a float."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float | int):
            return float(value)
        try:
            return parse_duration(value)
        except ValueError as error:
            _put_off(self, error, param, ctx)
            return 0


class Choice(click.Choice[str]):
    """One of some words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in self.choices:
            return str(value)
        error = ValueError(f"{value!r} is not one of {', '.join(self.choices)}")
        _put_off(self, error, param, ctx)
        return self.choices[0]


class Size(click.ParamType[int]):
    """A size in bytes, with an optional unit of 1024: ``64MiB``, ``4MB``."""

    name = "bytes"
    _UNITS: ClassVar = {
        "KIB": 1 << 10,
        "KB": 1 << 10,
        "MIB": 1 << 20,
        "MB": 1 << 20,
        "GIB": 1 << 30,
        "GB": 1 << 30,
        "B": 1,
    }

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text, factor = str(value).upper(), 1
        for unit, size in self._UNITS.items():
            if text.endswith(unit):
                text, factor = text.removesuffix(unit), size
                break
        if not text.isdigit() or not 0 < int(text) * factor < 2**31:
            error = ValueError(f"{value!r} is not a size between 1 and 2GiB; write for example 4MiB")
            _put_off(self, error, param, ctx)
            return 0
        return int(text) * factor


DURATION, SIZE = Duration(), Size()

click.rich_click.TEXT_MARKUP = "rich"
click.rich_click.MAX_WIDTH = 110
click.rich_click.OPTIONS_TABLE_COLUMN_TYPES = ["required", "opt_short", "opt_long", "help"]
click.rich_click.OPTIONS_TABLE_HELP_SECTIONS = [
    "help",
    "metavar",
    "deprecated",
    "envvar",
    "default",
    "required",
]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
OPTION_GROUPS = click.rich_click.OPTION_GROUPS


def _options(command: str, title: str, *options: Decorator) -> Decorator:
    """A titled group of options in the help of `command`."""
    names: list[str] = []
    OPTION_GROUPS.setdefault(command, []).append({"name": title, "options": names})

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            before = len(getattr(function, "__click_params__", []))
            function = option(function)
            added = function.__click_params__[before:]  # type: ignore[attr-defined]
            names[:0] = [parameter.opts[0] for parameter in added]
        return function

    return decorate


def _option(*declarations: str, **settings: Any) -> Decorator:
    settings.setdefault("show_default", "default" in settings and settings["default"] not in ("", None, ()))
    return click.option(*declarations, **settings)


def _many(*declarations: str, **settings: Any) -> Decorator:
    return _option(*declarations, multiple=True, **settings)


def _version() -> str:
    try:
        return metadata.version("crossrealm")
    except metadata.PackageNotFoundError:
        return "unknown"


def fail(error: ConfigError) -> NoReturn:
    """Print every problem and exit with the code for configuration."""
    for problem in error.problems:
        click.echo(f"error: {problem}", err=True)
    sys.exit(EXIT_CONFIG)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.version_option(_version(), "--version", message="crossrealm %(version)s")
def cli() -> None:
    """One querier for many certificate realms: a drop-in for thanos query whose certificates and CAs rotate
    under load."""


_ENDPOINTS = _options(
    "crossrealm query",
    "Endpoints",
    _option(
        "endpoints_config",
        "--endpoints.config",
        "--endpoint.config",
        "--endpoint-config",
        metavar="FILE",
        default="",
        help="File of endpoint groups, each with its own TLS or none. Excludes the flags below.",
    ),
    _many("endpoint", "--endpoint", "--store", metavar="HOST:PORT", help="Endpoint. Repeatable."),
    _many(
        "endpoint_strict",
        "--endpoint.strict",
        "--endpoint-strict",
        "--store.strict",
        "--store-strict",
        metavar="HOST:PORT",
        help="Endpoint that is always asked, even while its health check fails. Repeatable.",
    ),
    _many(
        "endpoint_sd_files",
        "--endpoint.sd-files",
        "--store.sd-files",
        metavar="GLOB",
        help="Files with endpoints, in Prometheus file SD format, followed live. Repeatable.",
    ),
    _option(
        "store_sd_interval",
        "--store.sd-interval",
        type=DURATION,
        default="5m",
        help="Between two looks at them.",
    ),
    _option(
        "endpoint_info_timeout",
        "--endpoint.info-timeout",
        type=DURATION,
        default="5s",
        help="Time limit of the health check, which is an Info call every 5 s.",
    ),
    _option(
        "store_unhealthy_timeout",
        "--store.unhealthy-timeout",
        type=DURATION,
        default="5m",
        help="After it the metadata of an unhealthy endpoint is forgotten; it stays listed.",
    ),
    _option(
        "store_response_timeout",
        "--store.response-timeout",
        type=DURATION,
        default="0",
        help="How long an answer waits for one endpoint; 0 is no limit.",
    ),
)

_FLAG_TLS = _options(
    "crossrealm query",
    "TLS of the endpoints given by flags",
    _option("secure", "--secure/--no-secure", default=False, help="Use TLS. --endpoints.config replaces it."),
    _option("cert", "--cert", metavar="FILE", default="", help="Client certificate."),
    _option("key", "--key", metavar="FILE", default="", help="Client key."),
    _option("ca_cert", "--caCert", metavar="FILE", default="", help="CA bundle; unset: the system's roots."),
    _option("server_name", "--serverName", metavar="NAME", default="", help="Name to verify."),
    _option(
        "grpc_client_tls_secure",
        "--grpc-client-tls-secure/--no-grpc-client-tls-secure",
        default=False,
        help="Use TLS, as thanos query spells it today.",
    ),
    _option(
        "grpc_client_tls_cert",
        "--grpc-client-tls-cert",
        metavar="FILE",
        default="",
        help="Client certificate.",
    ),
    _option("grpc_client_tls_key", "--grpc-client-tls-key", metavar="FILE", default="", help="Client key."),
    _option("grpc_client_tls_ca", "--grpc-client-tls-ca", metavar="FILE", default="", help="CA bundle."),
    _option(
        "grpc_client_server_name",
        "--grpc-client-server-name",
        metavar="NAME",
        default="",
        help="Name to verify.",
    ),
    _option(
        "grpc_client_tls_skip_verify",
        "--grpc-client-tls-skip-verify/--no-grpc-client-tls-skip-verify",
        default=False,
        help="Do not verify the endpoints' certificates.",
    ),
    _option(
        "grpc_client_tls_min_version",
        "--grpc-client-tls-min-version",
        metavar="VERSION",
        default="",
        help="1.2 or 1.3. Default 1.3.",
    ),
)

_TLS = _options(
    "crossrealm query",
    "Certificates",
    _option(
        "tls_startup",
        "--tls.startup",
        type=Choice(["lenient", "strict"]),
        default="lenient",
        help="strict: client material that cannot be used at start is an error;"
        " lenient: its group starts down.",
    ),
    _option(
        "tls_drain_window",
        "--tls.drain-window",
        type=DURATION,
        default="1m",
        help="Over it connections that were made with renewed material are replaced.",
    ),
)

_GRPC = _options(
    "crossrealm query",
    "gRPC listener",
    _option(
        "grpc_address",
        "--grpc-address",
        metavar="HOST:PORT",
        default="0.0.0.0:10901",
        help="Where to listen.",
    ),
    _option(
        "grpc_server_tls_cert", "--grpc-server-tls-cert", metavar="FILE", default="", help="Certificate."
    ),
    _option("grpc_server_tls_key", "--grpc-server-tls-key", metavar="FILE", default="", help="Key."),
    _option(
        "grpc_server_tls_client_ca",
        "--grpc-server-tls-client-ca",
        metavar="FILE",
        default="",
        help="CA bundle for client certificates, which are then required.",
    ),
    _option(
        "grpc_server_tls_crl",
        "--grpc-server-tls-crl",
        metavar="FILE",
        default="",
        help="CRLs, one for each CA of the client CA bundle.",
    ),
    _many(
        "grpc_server_allowed_identity",
        "--grpc-server-allowed-identity",
        metavar="IDENTITY",
        help="SPIFFE URI or DNS name of which a client certificate must carry one. Repeatable.",
    ),
    _option(
        "grpc_server_tls_min_version",
        "--grpc-server-tls-min-version",
        metavar="VERSION",
        default="1.3",
        help="1.2 or 1.3.",
    ),
    _many(
        "grpc_server_tls_ciphers",
        "--grpc-server-tls-ciphers",
        metavar="NAMES",
        help="Cipher suites for TLS 1.2, by Go's or OpenSSL's names.",
    ),
    _many("grpc_server_tls_curves", "--grpc-server-tls-curves", metavar="NAME", help="The curve to use."),
    _option(
        "grpc_server_max_connection_age",
        "--grpc-server-max-connection-age",
        type=DURATION,
        default="60m",
        help="After it a connection is drained, so that clients shake hands anew; 0 disables.",
    ),
    _option(
        "grpc_server_max_connection_age_grace",
        "--grpc-server-max-connection-age-grace",
        type=DURATION,
        default=None,
        help="After it what still runs on a drained connection is cut. Default: wait for the streams.",
    ),
    _option(
        "grpc_server_max_message_size",
        "--grpc-server-max-message-size",
        type=SIZE,
        default="4MiB",
        help="Of a request.",
    ),
    _option(
        "grpc_grace_period",
        "--grpc-grace-period",
        type=DURATION,
        default="2m",
        help="How long a stop waits for calls in flight.",
    ),
)

_HTTP = _options(
    "crossrealm query",
    "HTTP listener",
    _option(
        "http_address",
        "--http-address",
        metavar="HOST:PORT",
        default="0.0.0.0:10902",
        help="Where to listen.",
    ),
    _option(
        "http_grace_period",
        "--http-grace-period",
        type=DURATION,
        default="2m",
        help="How long a stop waits for requests in flight.",
    ),
    _option(
        "http_config",
        "--http.config",
        metavar="FILE",
        default="",
        help="TLS and basic auth, in the web configuration format of Prometheus.",
    ),
    _option(
        "web_hide_tls",
        "--web.hide-tls/--no-web.hide-tls",
        default=False,
        help="Leave the certificates out of /api/v1/stores.",
    ),
)

_QUERY = _options(
    "crossrealm query",
    "Query",
    _many(
        "selector_label",
        "--selector-label",
        metavar='NAME="VALUE"',
        help="The querier's own labels, announced to queriers above. Repeatable.",
    ),
    _option(
        "query_missing_endpoints",
        "--query.missing-endpoints",
        type=Choice(["warn", "error", "ignore"]),
        default="warn",
        help="What an endpoint does to an answer that it is missing from, being unhealthy.",
    ),
    _option(
        "query_resort_buffer",
        "--query.resort-buffer",
        type=SIZE,
        default="256MiB",
        help="What one endpoint's answer may take up when it has to be sorted here.",
    ),
    _option(
        "grpc_client_max_message_size",
        "--grpc-client-max-message-size",
        type=SIZE,
        default=2**31 - 1,
        help="Of an answer's message. Default: Thanos's, 2147483647.",
        show_default=False,
    ),
)

_LOG = _options(
    "crossrealm query",
    "Logs",
    _option(
        "log_level",
        "--log.level",
        type=Choice(["debug", "info", "warn", "error"]),
        default="info",
        help="Level.",
    ),
    _option("log_format", "--log.format", type=Choice(["logfmt", "json"]), default="logfmt", help="Format."),
)


@cli.command(epilog=EXIT_CODES)
@_ENDPOINTS
@_FLAG_TLS
@_TLS
@_GRPC
@_HTTP
@_QUERY
@_LOG
@click.pass_context
def query(ctx: click.Context, /, **given: Any) -> None:
    """Serve the Store API over all endpoints."""
    from app.config.flags import QueryFlags, query_settings

    try:
        settings = query_settings(QueryFlags(**given), ctx.meta.get(PUT_OFF, ()))
        from app.lifecycle import run_query

        sys.exit(run_query(settings))
    except ConfigError as error:
        fail(error)


@cli.command("check-config", epilog=EXIT_CODES)
@click.argument("file", type=click.Path(path_type=Path))
def check_config(file: Path) -> None:
    """Check an endpoints file and everything that it names, strictly."""
    from app.config_check import check_endpoints_config

    try:
        for line in check_endpoints_config(file):
            click.echo(line)
    except ConfigError as error:
        fail(error)


@cli.command(epilog=EXIT_CODES)
@_option("--duration", type=DURATION, default=None, help="How long; default: until Ctrl-C.")
@_option("as_json", "--json/--no-json", default=False, help="Print one JSON object at the end, nothing else.")
def demo(duration: float | None, as_json: bool) -> None:
    """Three realms, six endpoints, certificates and CAs rotating under load."""
    from app.demo.main import run_demo

    sys.exit(run_demo(duration, json=as_json))


@cli.command()
def warmup() -> None:
    """Compile the kernels now, so that the first start does not wait for it."""
    from app.fanout import warm_up

    click.echo(f"kernels are compiled, after {warm_up():.1f} s")


def main() -> None:
    """The console script."""
    cli(prog_name="crossrealm")
