"""`crossrealm promql`: a query from the command line."""

import sys
import time as clock
from pathlib import Path

import rich_click as click

from app.cli.options import DURATION, Choice, fail, many, option, options
from app.errors import ConfigError, Problem

_COMMAND = "crossrealm promql"
_FILE = click.Path(path_type=Path)


@click.command(
    "promql",
    epilog="Exit codes: 0 answered, 1 the query failed or nobody answered, 2 flags or files are at fault.",
)
@click.argument("expression")
@options(
    _COMMAND,
    "Who is asked",
    option("--url", metavar="URL", default="", help="Server with the HTTP API of Prometheus."),
    option(
        "client_file",
        "--http-client-file",
        metavar="FILE",
        default=None,
        type=_FILE,
        help="How to get there: TLS, credentials, a proxy, as in --prometheus.http-client-file.",
    ),
    option(
        "endpoints_config",
        "--endpoints.config",
        "--endpoint.sd-config-file",
        metavar="FILE",
        default=None,
        type=_FILE,
        help="Endpoints to ask instead, by an engine in this process.",
    ),
    option("--timeout", type=DURATION, default="2m", help="Of the query."),
    many(
        "replica_labels",
        "--query.replica-label",
        metavar="NAME",
        help="Labels that tell replicas apart. With --url, in place of the server's. Repeatable.",
    ),
)
@options(
    _COMMAND,
    "When",
    option("--time", metavar="TIME", default="", help="RFC 3339 or seconds since the epoch. Default: now."),
    option("--start", metavar="TIME", default="", help="Of a range."),
    option("--end", metavar="TIME", default="", help="Of a range. Default: now."),
    option("--since", type=DURATION, default=None, help="A range from so long before its end."),
    option("--step", metavar="DURATION", default="", help="Between points. Default: 250 points, 1s or more."),
)
@options(
    _COMMAND,
    "Output",
    option(
        "--output",
        type=Choice(["table", "json"]),
        default="table",
        help="table, which in a pipe is lines with tabs; or json, the answer as the API has it.",
    ),
    option("--plot/--no-plot", default=True, help="Draw ranges, on a terminal."),
)
def evaluate(
    expression: str,
    url: str,
    client_file: Path | None,
    endpoints_config: Path | None,
    timeout: float,
    replica_labels: tuple[str, ...],
    time: str,
    start: str,
    end: str,
    since: float | None,
    step: str,
    output: str,
    plot: bool,
) -> None:
    """Evaluate a PromQL expression, by a server or over endpoints. Warnings go to stderr.

    \b
    now, of a querier or a Prometheus:
      crossrealm promql 'sum by (realm) (up)' --url=http://localhost:10902
    the last hour, drawn and summed up:
      crossrealm promql 'rate(http_requests_total[5m])' --url=URL --since=1h
    without a server, replicas merged:
      crossrealm promql up --endpoints.config=e.yaml --query.replica-label=replica
    for programs:
      crossrealm promql up --url=URL --output=json | jq .data.result
    """
    from app.terminal.main import run_promql
    from app.terminal.times import question

    try:
        if bool(url) == (endpoints_config is not None):
            remedy = "write for example --url=http://localhost:10902"
            raise ConfigError(
                [Problem("--url, --endpoints.config", "give one of them, and not both", remedy)]
            )
        if client_file is not None and not url:
            raise ConfigError([Problem("--http-client-file", "it is for --url")])
        asked = question(
            expression,
            now=clock.time(),
            time=time,
            start=start,
            end=end,
            since=since or 0.0,
            step=step,
            timeout=timeout,
            replica_labels=replica_labels,
        )
        sys.exit(
            run_promql(
                asked, url=url, client_file=client_file, endpoints=endpoints_config, output=output, plot=plot
            )
        )
    except ConfigError as error:
        fail(error)
    except KeyboardInterrupt:
        sys.exit(130)
