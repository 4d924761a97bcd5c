"""The command line as people and unit files use it."""

import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result

from app.cli import cli
from app.config.model import QuerySettings


def run(*arguments: str) -> tuple[Result, QuerySettings | None]:
    """Run a command; `query` is not started, its settings are returned."""
    taken: list[QuerySettings] = []

    def run_query(settings: QuerySettings) -> int:
        taken.append(settings)
        return 0

    with patch("app.querier.run_query", run_query):
        result = CliRunner().invoke(cli, list(arguments))
    return result, taken[0] if taken else None


def settings_of(*arguments: str) -> QuerySettings:
    result, settings = run("query", *arguments)
    assert result.exit_code == 0, result.output
    assert settings is not None
    return settings


@pytest.mark.parametrize("spelling", ["--endpoints.config", "--endpoint.config", "--endpoint-config"])
def test_the_file_answers_to_three_names(tmp_path: Path, spelling: str) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("- endpoints: ['a:1']\n")
    assert settings_of(f"{spelling}={path}").groups[0].endpoints == ("a:1",)
    assert settings_of(spelling, str(path)).groups[0].endpoints == ("a:1",)


def test_older_names_of_endpoints() -> None:
    (group,) = settings_of(
        "--store=a:1", "--store.strict=b:1", "--store-strict", "c:1", "--endpoint-strict=d:1",
        "--endpoint.strict=e:1", "--store.sd-files=x.yaml", "--endpoint.sd-files", "y.yaml",
    ).groups  # fmt: skip
    assert group.endpoints == ("a:1", "b:1", "c:1", "d:1", "e:1")
    assert group.strict_endpoints == {"b:1", "c:1", "d:1", "e:1"}
    assert group.sd_files == ("x.yaml", "y.yaml")


def test_forms_of_kingpin() -> None:
    assert settings_of("--web.hide-tls").http.hide_tls
    assert not settings_of("--web.hide-tls", "--no-web.hide-tls").http.hide_tls
    assert settings_of("--grpc-grace-period", "1h30m").grpc.grace_period == 5400
    assert settings_of("--grpc-server-max-connection-age=0").grpc.max_connection_age == 0
    assert settings_of("--grpc-server-max-connection-age-grace=5s").grpc.max_connection_age_grace == 5
    assert settings_of("--query.resort-buffer=1MiB").resort_buffer == 1 << 20
    assert settings_of("--log.level=debug", "--log.format", "json").log.format == "json"


def test_every_fault_at_once_and_exit_2() -> None:
    result, settings = run(
        "query", "--tls.drain-window=x", "--store.sd-interval", "1q", "--endpoint=a", "--cert=c",
        "--query.resort-buffer=lots",
    )  # fmt: skip
    assert settings is None
    assert result.exit_code == 2
    for flag in (
        "--tls.drain-window",
        "--store.sd-interval",
        "--endpoint",
        "--cert",
        "--query.resort-buffer",
    ):
        assert f"error: {flag}" in result.output


def test_faults_of_choices_come_with_the_rest() -> None:
    result = CliRunner().invoke(cli, ["query", "--log.level=loud", "--grpc-address=x", "--tls.startup=no"])
    assert result.exit_code == 2
    for says in ("--log.level: 'loud' is not one of", "--grpc-address:", "--tls.startup: 'no' is not one of"):
        assert says in result.stderr


def test_unknown_flags_are_refused() -> None:
    result, _ = run("query", "--no-such-flag")
    assert result.exit_code == 2


def test_a_number_that_is_none_comes_with_all_other_faults() -> None:
    result, _ = run(
        "query", "--query.max-concurrent=x", "--store.limits.request-series=1.5", "--query.timeout=0"
    )
    assert result.exit_code == 2
    for fault in (
        "--query.max-concurrent: 'x' is not a whole number",
        "--store.limits.request-series: '1.5' is not a whole number",
        "--query.timeout: 0 is not allowed",
    ):
        assert f"error: {fault}" in result.stderr


@pytest.mark.parametrize("command", [(), ("query",), ("promql",), ("check-config",), ("demo",), ("warmup",)])
def test_help(command: tuple[str, ...]) -> None:
    result, _ = run(*command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_check_config_lists_groups_or_faults(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("- name: local\n  endpoints: ['a:1', 'b:1']\n")
    result, _ = run("check-config", str(path))
    assert (result.exit_code, result.output) == (0, "local: 2 endpoints; plaintext\n")
    path.write_text(
        "- name: eu\n  tls_config: {ca_file: nowhere.crt}\n  endpoints_sd_files: [{files: [no.json]}]\n"
    )
    result, _ = run("check-config", str(path))
    assert result.exit_code == 2
    assert "group eu: nowhere.crt: no such file" in result.output
    assert "no.json: no such file" in result.output


def test_a_bad_configuration_opens_no_port_and_shows_no_traceback(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "app", "query", "--grpc-address=127.0.0.1:0", "--http-address=127.0.0.1:0",
        f"--grpc-server-tls-cert={tmp_path}/no.crt", f"--grpc-server-tls-key={tmp_path}/no.key",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no.crt: no such file" in done.stderr
    assert "Traceback" not in done.stderr
    assert "listening" not in done.stderr


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from app.cli import cli; "
        "print([m for m in ('numba', 'numpy', 'uvicorn', 'grpclib', 'cryptography') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
