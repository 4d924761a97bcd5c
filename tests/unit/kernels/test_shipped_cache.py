"""A cache of kernels that cannot be written is copied to where it can."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from app.kernels.shipped_cache import VARIABLE, make_writable


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    folder = tmp_path / "shipped" / "kernels_0a1b"
    folder.mkdir(parents=True)
    (folder / "merge.nbi").write_bytes(b"index")
    (folder / "merge.1.nbc").write_bytes(b"code")
    for path in (folder / "merge.nbi", folder / "merge.1.nbc"):
        path.chmod(0o444)
    folder.chmod(0o555)
    folder.parent.chmod(0o555)
    return folder.parent


@pytest.fixture
def unwritable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may write everywhere, if that is root."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)


def test_a_cache_that_can_be_written_is_used_as_it_is(tmp_path: Path) -> None:
    environment = {VARIABLE: str(tmp_path)}
    assert make_writable(environment) is None
    assert environment == {VARIABLE: str(tmp_path)}


@pytest.mark.parametrize("environment", [{}, {VARIABLE: ""}, {VARIABLE: "/nonexistent/cache"}])
def test_without_a_cache_there_is_nothing_to_do(environment: dict[str, str]) -> None:
    before = dict(environment)
    assert make_writable(environment) is None
    assert environment == before


@pytest.mark.usefixtures("unwritable")
def test_the_copy_is_whole_and_can_be_written(shipped: Path) -> None:
    environment = {VARIABLE: str(shipped)}
    copy = make_writable(environment)
    assert copy is not None
    try:
        assert environment == {VARIABLE: copy}
        folder = Path(copy) / "kernels_0a1b"
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            "merge.nbi": b"index",
            "merge.1.nbc": b"code",
        }
        assert folder.stat().st_mode & 0o200
        assert (folder / "merge.nbi").stat().st_mode & 0o200
    finally:
        shutil.rmtree(copy)


@pytest.mark.usefixtures("unwritable")
@pytest.mark.parametrize("name", ["mkdtemp", "copyfile"])
def test_without_a_place_it_stays_as_it_is(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    module = tempfile if name == "mkdtemp" else shutil
    monkeypatch.setattr(module, name, full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment = {VARIABLE: str(shipped)}
    assert make_writable(environment) is None
    assert environment == {VARIABLE: str(shipped)}
    assert list(tmp_path.glob("crossrealm-kernels-*")) == []


def test_numba_uses_the_copy_and_it_goes_with_the_process(shipped: Path, tmp_path: Path) -> None:
    """As root without the right to pass over permissions, or as anybody else."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is not installed")
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    script = (
        "import numba, os; from app.kernels import jit; "
        "numba.njit(lambda x: x + 1)(1); "
        "print(numba.config.CACHE_DIR, len(os.listdir(numba.config.CACHE_DIR)))"
    )
    done = subprocess.run(
        [*drop, sys.executable, "-c", script],
        env={**os.environ, VARIABLE: str(shipped), "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    used, entries = done.stdout.split()
    assert Path(used).parent == scratch
    assert entries == "1"
    assert list(scratch.iterdir()) == []
