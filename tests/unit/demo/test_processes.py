import os
import signal
import sys
from pathlib import Path

import anyio
import psutil
import pytest

from app.demo.processes import ChildError, running

pytestmark = pytest.mark.anyio

ANNOUNCE = "import sys; print('up', flush=True); "


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_it_runs_until_the_scope_ends(tmp_path: Path) -> None:
    command = _python(ANNOUNCE + "sys.stdin.read(); import time; time.sleep(60)")
    async with running("child", command, tmp_path, announces=True) as child:
        assert await child.first_line(10) == b"up"
        assert psutil.pid_exists(child.pid)
        assert os.getsid(child.pid) == child.pid, "a Ctrl-C at the terminal would reach it"
    assert child.returncode == -signal.SIGTERM


async def test_one_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + ANNOUNCE + "signal.pause()"
    with anyio.fail_after(10):
        async with running("child", _python(code), tmp_path, announces=True, grace=0.1) as child:
            await child.first_line(10)
    assert child.returncode == -signal.SIGKILL


async def test_an_early_end_shows_what_it_wrote(tmp_path: Path) -> None:
    async with running(
        "child", _python("raise SystemExit('no such realm')"), tmp_path, announces=True
    ) as child:
        with pytest.raises(ChildError, match=r"(?s)child ended while it started.*no such realm"):
            await child.first_line(10)
        with pytest.raises(ChildError, match=r"(?s)exit code 1.*no such realm"):
            await child.watch()


async def test_silence_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async with running("child", _python("import time; time.sleep(60)"), tmp_path, announces=True) as child:
        with pytest.raises(ChildError, match="is not up after"):
            await child.first_line(0.1)


async def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent_code = (
        "import anyio, sys\n"
        "from pathlib import Path\n"
        "from app.demo.processes import running\n"
        "async def main():\n"
        "    command = [sys.executable, '-c', 'print(1, flush=True); import time; time.sleep(60)']\n"
        f"    async with running('inner', command, Path({str(tmp_path)!r}), announces=True) as child:\n"
        "        await child.first_line(10)\n"
        "        print(child.pid, flush=True)\n"
        "        await anyio.sleep_forever()\n"
        "anyio.run(main)\n"
    )
    async with running("parent", _python(parent_code), tmp_path, announces=True) as parent:
        inner = psutil.Process(int(await parent.first_line(20)))
        parent.send_signal(signal.SIGKILL)
        gone, alive = await anyio.to_thread.run_sync(lambda: psutil.wait_procs([inner], timeout=10))
        assert (len(gone), alive) == (1, [])
