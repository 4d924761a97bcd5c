"""What is installed is pinned, by hash, and from no index in particular."""

import re
import tomllib

import pytest

from tests.harness.programs import ROOT

FOLDER = ROOT / "requirements"
LOCKS = ("build.txt", "dev.txt", "runtime.txt")


def pins(lock: str) -> dict[str, str]:
    """Requirement, with its marker: version."""
    found = re.findall(r"^([a-z0-9._-]+)==(\S+)( ; .*?)? \\$", (FOLDER / lock).read_text(), re.MULTILINE)
    return {name + marker: version for name, version, marker in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_has_hashes_and_names_no_host(lock: str) -> None:
    text = (FOLDER / lock).read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
    assert len(pins(lock)) == len(lines) > 0
    assert "://" not in text
    assert not re.search(r"^--?[a-z]", text, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)


@pytest.mark.parametrize("lock", ["build.txt", "runtime.txt"])
def test_what_is_shipped_is_what_is_tested(lock: str) -> None:
    tested = pins("dev.txt")
    assert {name: tested.get(name) for name in pins(lock)} == pins(lock)


def test_the_locks_have_what_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for lock, named in (
        ("runtime.txt", project["dependencies"]),
        ("dev.txt", project["dependencies"] + project["optional-dependencies"]["dev"]),
    ):
        locked = {re.split(r"[ ;]", name)[0] for name in pins(lock)}
        wanted = {re.split(r"[^A-Za-z0-9._-]", each)[0].lower().replace("_", "-") for each in named}
        assert wanted - locked == set()
