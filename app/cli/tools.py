"""Commands that are not servers."""

import sys
from pathlib import Path

import rich_click as click

from app.cli.options import DURATION, EXIT_CODES, fail, option
from app.errors import ConfigError


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
    from app.sidecar import warm_up

    click.echo(f"kernels are compiled, after {warm_up():.1f} s")
