"""The command line. Nothing heavy is imported here: `--help` answers at once."""

from importlib import metadata

import rich_click as click

from app.cli.expression import evaluate
from app.cli.options import EXIT_CODES
from app.cli.query import query
from app.cli.sidecar import sidecar
from app.cli.tools import check_config, demo, doctor, warmup


def _version() -> str:
    try:
        return metadata.version("crossrealm")
    except metadata.PackageNotFoundError:
        return "unknown"


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.version_option(_version(), "--version", message="crossrealm %(version)s")
def cli() -> None:
    """One querier for many certificate realms: a drop-in for thanos query whose certificates and CAs rotate
    under load."""


for _command in (query, sidecar, evaluate, check_config, doctor, demo, warmup):
    cli.add_command(_command)


def main() -> None:
    """The console script."""
    cli(prog_name="crossrealm")
