"""The units of deploy/systemd: what systemd's own tools say of them, and whether they fit the commands."""

import configparser
import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from tests.harness.programs import ROOT, flags_of, output_of, program

SYSTEMD = ROOT / "deploy/systemd"
COMMANDS = ("query", "sidecar")
BINARY = "/opt/crossrealm/bin/crossrealm"
EXPOSURE = 1.5
"""What systemd-analyze security may count, of 10."""


def unit_file(command: str) -> Path:
    return SYSTEMD / f"crossrealm-{command}.service"


def unit(command: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string(unit_file(command).read_text())
    return parser


def seconds(text: str) -> float:
    """A time span as systemd writes it."""
    units = {"min": 60, "s": 1}
    return sum(float(number) * units[name] for number, name in re.findall(r"(\d+)(min|s)", text))


@pytest.mark.parametrize("command", COMMANDS)
def test_verify_has_nothing_to_say(command: str, tmp_path: Path) -> None:
    binary = tmp_path / "crossrealm"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    text = unit_file(command).read_text()
    assert text.count(BINARY) == 1
    installed = tmp_path / unit_file(command).name
    installed.write_text(text.replace(BINARY, str(binary)))
    done = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", installed],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_what_it_is_exposed_to(command: str) -> None:
    said = output_of("systemd-analyze", "security", "--offline=true", "--no-pager", unit_file(command))
    overall = re.search(r"Overall exposure level for .*: ([\d.]+) (\w+)", said)
    assert overall, said
    assert float(overall[1]) <= EXPOSURE, said
    assert overall[2] == "OK"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_flags_of_the_environment_file_are_understood(command: str) -> None:
    name, _, value = (
        re.sub(r"^#.*\n", "", (SYSTEMD / f"{command}.env").read_text(), flags=re.MULTILINE)
        .replace("\\\n", " ")
        .strip()
        .partition("=")
    )
    service = unit(command)["Service"]
    assert service["ExecStart"] == f"{BINARY} {command} ${name}"
    assert service["EnvironmentFile"] == f"/etc/crossrealm/{command}.env"
    given = flags_of([command, *shlex.split(value)])
    assert given["grpc_server_tls_cert"]
    graces = given["grpc_grace_period"], given["http_grace_period"]
    assert seconds(service["TimeoutStopSec"]) > sum(each for each in graces if isinstance(each, float))


@pytest.mark.parametrize("command", COMMANDS)
def test_kernels_are_kept_where_the_service_may_write(command: str) -> None:
    service = unit(command)["Service"]
    assert service["ProtectSystem"] == "strict"
    assert service["Environment"] == f"NUMBA_CACHE_DIR=%C/{service['CacheDirectory']}"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reload_reaches_the_process(command: str) -> None:
    """The line of ExecReload, run as systemd runs it, sends SIGHUP to $MAINPID."""
    line = unit(command)["Service"]["ExecReload"].replace("$$", "$")
    with subprocess.Popen(["sleep", "60"]) as waiting:
        try:
            environment = {**os.environ, "MAINPID": str(waiting.pid)}
            subprocess.run(shlex.split(line), env=environment, timeout=10, check=True)
            assert waiting.wait(10) == -1
        finally:
            waiting.kill()


def test_the_user_of_the_units_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    output_of("systemd-sysusers", f"--root={tmp_path}", SYSTEMD / "crossrealm.sysusers.conf")
    made = (tmp_path / "etc/passwd").read_text()
    for command in COMMANDS:
        assert made.startswith(f"{unit(command)['Service']['User']}:")
