"""A querier whose compiled kernels lie where nothing may be written, as in a container, compiles none."""

import os
import shutil
import sys
from pathlib import Path

import anyio
import pytest

from app.demo.probe import until_ready
from app.demo.processes import free_address, running
from tests.harness.programs import program

# All kernels are compiled once more, for any CPU of the architecture.
pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(400)]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _make_read_only(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


async def test_shipped_kernels_are_used(tmp_path: Path) -> None:
    shipped, scratch = tmp_path / "shipped", tmp_path / "scratch"
    scratch.mkdir()
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(shipped),
        "NUMBA_CPU_NAME": "generic",
        "TMPDIR": str(scratch),
    }
    crossrealm = [sys.executable, "-m", "app"]
    with anyio.fail_after(300):
        await anyio.run_process([*crossrealm, "warmup"], env=environment)
    compiled = _contents(shipped)
    assert compiled
    _make_read_only(shipped)
    # Root may write everywhere unless it gives that right away.
    weakened = [program("setpriv"), "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    http = free_address()
    flags = ["query", f"--grpc-address={free_address()}", f"--http-address={http}"]
    async with running(
        "querier", [*weakened, *crossrealm, *flags], tmp_path, environment=environment
    ) as child:
        with anyio.fail_after(60):
            await until_ready(f"http://{http}")
        (copy,) = scratch.iterdir()
        assert _contents(copy) == compiled, "a kernel was compiled anew"
        await child.stop(10)
        assert child.returncode == 0, child.tail()
    assert list(scratch.iterdir()) == []
    shutil.rmtree(shipped)
