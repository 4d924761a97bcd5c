"""The command: configuration in, report and exit code out."""

import sys
from pathlib import Path

import anyio
from rich.console import Console

from app.config.endpoints_source import load_either_format
from app.discovery.dns import Lookups
from app.doctor.report import as_json, show
from app.doctor.visit import visit
from app.errors import ConfigError, Problem
from app.telemetry import logs

EXIT_WELL, EXIT_NOT_WELL = 0, 1


def run_doctor(path: Path, *, timeout: float, json: bool, dns_server: str = "") -> int:
    """Examine every endpoint of a file, in our format or in Thanos's; the exit code.

    :param timeout: seconds of each step with an endpoint.
    :raises ConfigError: with every fault of the file.
    """
    config = load_either_format(path)
    if not any(group.endpoints or group.sd_files for group in config.groups):
        raise ConfigError([Problem(str(path), "no endpoints are configured")])
    logs.configure("error", "logfmt")
    console, errors = Console(), Console(stderr=True)
    with errors.status("") as status:

        def seen(done: int, of: int) -> None:
            if errors.is_terminal:
                status.update(f"{done} of {of} endpoints")

        async def examine():  # type: ignore[no-untyped-def]
            return await visit(config.groups, timeout=timeout, lookups=Lookups(dns_server), seen=seen)

        found = anyio.run(examine)
    if json:
        sys.stdout.buffer.write(as_json(found) + b"\n")
        sys.stdout.flush()
    else:
        show(found, console)
    return EXIT_WELL if all(each.well for each in found) else EXIT_NOT_WELL
