"""Every flag of Thanos works, warns that it does not, or is refused with a reason; and the docs say which."""

import re
from pathlib import Path
from unittest.mock import patch

import click
import pytest
from click.testing import CliRunner, Result

from app.cli import cli
from app.cli.compatibility import DEVIATIONS, Deviation, Fate
from app.config.model import QuerySettings, ServerSettings, SidecarSettings

LIST = Path(__file__).with_name("thanos_flags.txt")
PAGE = Path(__file__).parents[2] / "docs/flags.md"
# Accepted by options of our own, which say so themselves.
QUIET = {"--store.sd-dns-resolver", "--tsdb.path"}


def table() -> dict[tuple[str, str], tuple[str, str]]:
    """What the page says: flag and command -> what becomes of it, and why."""
    section = PAGE.read_text().split("## Flags of Thanos\n")[1].split("\n## ")[0]
    found = {}
    for flag, commands, fate, reason in re.findall(
        r"^\| `(\S+)` \| (.*?) \| (.*?) \| (.*?) \|$", section, re.M
    ):
        for command in commands.split(", "):
            found[flag, command] = (fate, reason)
    return found


def run(command: str, *arguments: str) -> tuple[Result, ServerSettings | None]:
    """The settings that a server would be started with."""
    taken: list[ServerSettings] = []

    def keep(settings: ServerSettings) -> int:
        taken.append(settings)
        return 0

    with patch("app.querier.run_query", keep), patch("app.sidecar.server.run_sidecar", keep):
        result = CliRunner().invoke(cli, [command, *arguments])
    return result, taken[0] if taken else None


def options(command: str) -> set[str]:
    given = {"--help", "--help-long", "--version"}
    for each in cli.commands[command].params:
        if isinstance(each, click.Option) and not each.hidden:
            given.update((*each.opts, *each.secondary_opts))
    return given


def test_the_page_lists_every_flag_once() -> None:
    lines = [line.split() for line in LIST.read_text().splitlines() if not line.startswith("#")]
    assert set(table()) == {(flag, command) for command, flag in lines}


@pytest.mark.parametrize(("flag", "command"), sorted(table()))
def test_what_the_page_says_is_so(flag: str, command: str) -> None:
    fate, reason = table()[flag, command]
    deviation = {name: each for each in DEVIATIONS[command] for name in each.names}.get(flag)
    if fate == "works" or flag in QUIET:
        # --version is the whole program's, as kingpin has it for each command.
        assert flag in options(command)
        assert deviation is None
    else:
        assert deviation is not None
        assert (str(deviation.fate), deviation.reason) == (fate, reason)


@pytest.mark.parametrize(
    ("command", "deviation"),
    [(command, each) for command, every in DEVIATIONS.items() for each in every],
    ids=lambda each: each.names[0] if isinstance(each, Deviation) else each,
)
def test_deviations_warn_or_stop_the_start(command: str, deviation: Deviation) -> None:
    name = deviation.names[0]
    for arguments in [[name]] if deviation.switch else [[f"{name}=1"], [name, "1"], [name, "1", name, "2"]]:
        result, settings = run(command, *arguments)
        if deviation.fate is Fate.REFUSED:
            assert (result.exit_code, settings) == (2, None)
            assert f"error: {name}: {deviation.reason}" in result.stderr
        else:
            assert result.exit_code == 0, result.output
            assert isinstance(settings, QuerySettings | SidecarSettings)
            assert f"{name}: it has no effect: {deviation.reason}" in settings.warnings
    if deviation.switch:
        result, settings = run(command, f"--no-{name[2:]}")
        assert result.exit_code == 0, result.output
        assert settings is not None
        assert not any(name in warning for warning in settings.warnings)


def test_what_is_refused_comes_with_all_other_faults() -> None:
    result, _ = run("sidecar", "--objstore.config=x", "--reloader.method=http", "--prometheus.url=x")
    assert result.exit_code == 2
    for name in ("--objstore.config", "--reloader.method", "--prometheus.url"):
        assert f"error: {name}: " in result.stderr
