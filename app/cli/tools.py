"""Commands that are not servers."""

import os
import subprocess
import sys
import time
from pathlib import Path

import rich_click as click

from app.cli.options import DURATION, EXIT_CODES, fail, option
from app.errors import ConfigError

_OTHER_HALF = "app.sidecar.warming"
"""Kernels of the sidecar and of the fan-out; the engine has none in common with them."""


@click.command("check-config", epilog=EXIT_CODES)
@click.argument("file", type=click.Path(path_type=Path))
def check_config(file: Path) -> None:
    """Check an endpoints file (of either format) and everything that it names, strictly."""
    from app.config_check import check_endpoints_config

    try:
        for line in check_endpoints_config(file):
            click.echo(line)
    except ConfigError as error:
        fail(error)


@click.command(
    epilog="Exit codes: 0 all endpoints are well, 1 some are not, 2 the configuration is at fault."
)
@option(
    "endpoints_config",
    "--endpoints.config",
    "--endpoint.sd-config-file",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="File of endpoint groups, or one in Thanos's format.",
)
@option("--timeout", type=DURATION, default="10s", help="Time limit of each step with an endpoint.")
@option("dns_server", "--store.sd-dns-server", metavar="HOST:PORT", default="", help="DNS server to ask.")
@option("as_json", "--json/--no-json", default=False, help="Print one JSON object, nothing else.")
def doctor(endpoints_config: Path, timeout: float, dns_server: str, as_json: bool) -> None:
    """Reach every endpoint as the querier would, and say what is wrong with it."""
    from app.doctor.main import run_doctor

    try:
        sys.exit(run_doctor(endpoints_config, timeout=timeout, json=as_json, dns_server=dns_server))
    except ConfigError as error:
        fail(error)
    except KeyboardInterrupt:
        sys.exit(130)


@click.command(epilog=EXIT_CODES)
@option("--duration", type=DURATION, default=None, help="How long; default: until Ctrl-C.")
@option("as_json", "--json/--no-json", default=False, help="Print one JSON object at the end, nothing else.")
def demo(duration: float | None, as_json: bool) -> None:
    """Three realms, six endpoints, certificates and CAs rotating under load."""
    from app.demo.main import run_demo

    sys.exit(run_demo(duration, json=as_json))


@click.command()
def warmup() -> None:
    """Compile the kernels now, so that the first start does not wait for it."""
    from app.engine.warming import compile_kernels

    begun = time.monotonic()
    # The other half in a process of its own, with the import path of this one: -P leaves out the directory.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-c", f"from {_OTHER_HALF} import compile_kernels as run; run()"]
    with subprocess.Popen(command, env=environment) as other:
        try:
            compile_kernels()
        except BaseException:
            other.kill()
            raise
        if other.wait():
            sys.exit(1)
    click.echo(f"kernels are compiled, after {time.monotonic() - begun:.1f} s")
