"""The docs agree with the code, and their links lead somewhere."""

import re
from pathlib import Path

import click
import msgspec
import pytest

from app.cli import cli
from app.config import sd_config
from app.config.model import EndpointGroup, TlsConfig

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FLAG = re.compile(r"`(--?[a-zA-Z][a-zA-Z0-9._-]*)`")


def flags_of(command: str, *, hidden: bool = False) -> set[str]:
    options = (
        each
        for each in cli.commands[command].params
        if isinstance(each, click.Option) and (hidden or not each.hidden)
    )
    return {name for option in options for name in (*option.opts, *option.secondary_opts)}


def documented(command: str) -> set[str]:
    text = (ROOT / "docs/flags.md").read_text()
    section = text.split(f"## crossrealm {command}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `--")]
    return {flag for row in rows for flag in _FLAG.findall(row)}


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_flags_and_their_page_agree(command: str) -> None:
    assert documented(command) == flags_of(command)


def test_every_key_of_the_endpoints_file_is_described() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    keys = {field.name for field in msgspec.structs.fields(TlsConfig)}
    keys |= {"name", "tls_config", "endpoints", "endpoints_sd_files", "mode", "compression"}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_the_example_of_the_configuration_page_is_valid(tmp_path: Path) -> None:
    from app.config.endpoints_file import load_endpoints_config

    for page in (ROOT / "docs/configuration.md", ROOT / "README.md"):
        example = page.read_text().split("```yaml\n")[1].split("```")[0]
        path = tmp_path / "endpoints.yaml"
        path.write_text(example)
        assert [group.name for group in load_endpoints_config(path)] == ["eu", "us", "local"]


def test_the_example_of_thanos_format_is_valid_and_its_keys_are_described() -> None:
    text = (ROOT / "docs/configuration.md").read_text().split("## Thanos's format")[1].split("\n## ")[0]
    example = text.split("```yaml\n")[1].split("```")[0]
    flags = EndpointGroup(name="flags")
    groups = sd_config.parse_sd_config(example.encode(), "configuration.md", flags).groups
    assert [group.name.partition("-")[0] for group in groups] == ["default", "tls", "plaintext"]
    keys = {*sd_config.ENDPOINT_KEYS, *sd_config.CLIENT_KEYS, *sd_config.TLS_KEYS}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [each for each in targets if "://" not in each and not (page.parent / each).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_that_pages_mention_exist(page: Path) -> None:
    known = set().union(*(flags_of(command, hidden=True) for command in cli.commands))
    known |= {"--help", "--help-long", "--version"}
    mentioned = {flag.rstrip(".-") for flag in re.findall(r"(?<![\w-])--[a-zA-Z][\w.-]*", page.read_text())}
    assert sorted(mentioned - known - _OTHERS) == []


# Flags of bench, pytest and other programs, and a placeholder.
_OTHERS = {
    "--flag",
    "--no",
    "--parts",
    "--profile",
    "--runs",
    "--series",
    "--stacked",
    "--step",
    "--thanos",
    "--topology",
}
_OTHERS |= {
    "--build",
    "--key-mode",
    "--no-build-isolation",
    "--no-deps",
    "--now",
    "--renew",
    "--require-hashes",
}
