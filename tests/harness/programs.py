"""Other people's programs, and ours as a file of deploy/ calls it."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from app.cli import cli

ROOT = Path(__file__).parents[2]


def program(name: str) -> str:
    """Where it is: beside the interpreter, or on the path. Without it the test is skipped."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def output_of(name: str, *arguments: str | Path, limit: float = 60.0) -> str:
    """What the program writes to stdout.

    :param limit: seconds.
    :raises AssertionError: it failed; with what it wrote.
    """
    command = [program(name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def flags_of(arguments: Sequence[str]) -> dict[str, object]:
    """The options of ``crossrealm`` with `arguments`, of which the first is the command, by parameter.

    :raises AssertionError: the command line refuses them.
    """
    command = cli.commands[arguments[0]]
    try:
        with command.make_context(arguments[0], list(arguments[1:])) as context:
            return dict(context.params)
    except click.ClickException as error:
        raise AssertionError(f"{' '.join(arguments)}: {error.format_message()}") from None
