"""What the command does around the performance: signals, exit codes, errors."""

import json
import os
import signal
from pathlib import Path

import anyio
import pytest

from app.demo import main
from app.demo.main import Interrupt, run_demo
from app.demo.processes import ChildError
from app.demo.summary import Summary
from app.demo.view import View


def _summary(failed: int = 0, kinds: int = 1) -> Summary:
    return Summary(
        calls=10,
        failed=failed,
        rotations=2,
        rotations_by_kind={"leaf": kinds, "authority": kinds},
        handshakes=3,
        seconds=1.0,
        calls_per_second=10.0,
        missed=[],
        faults=[],
        endpoints=[],
    )


def _plays(monkeypatch: pytest.MonkeyPatch, summary: Summary) -> None:
    async def play(root: Path, duration: float | None, view: View, interrupt: Interrupt) -> Summary:
        return summary

    monkeypatch.setattr(main, "_demo", play)


def test_json_is_all_that_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _plays(monkeypatch, _summary())
    assert run_demo(1.0, json=True) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["calls"] == 10
    assert printed.out.count("\n") == 1
    assert printed.err == ""


@pytest.mark.parametrize("summary", [_summary(failed=1), _summary(kinds=0)])
def test_a_failed_call_or_a_missing_rotation_is_an_error(
    summary: Summary, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _plays(monkeypatch, summary)
    assert run_demo(1.0) == 1
    assert capsys.readouterr().err.startswith("demo: ")


def test_a_child_that_dies_is_named_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(root: Path, duration: float | None, view: View, interrupt: Interrupt) -> Summary:
        raise ExceptionGroup("", [ChildError("store-eu-a ended by itself")])

    monkeypatch.setattr(main, "_demo", play)
    assert run_demo(1.0) == 1
    printed = capsys.readouterr()
    assert printed.err == "demo: store-eu-a ended by itself\n"
    assert printed.out == ""


def test_ctrl_c_before_the_first_call_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(root: Path, duration: float | None, view: View, interrupt: Interrupt) -> Summary:
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(main, "_demo", play)
    assert run_demo(None) == 1


def test_ctrl_c_ends_with_a_summary_that_may_lack_rotations(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(root: Path, duration: float | None, view: View, interrupt: Interrupt) -> Summary:
        interrupt.performing = True
        os.kill(os.getpid(), signal.SIGINT)
        await interrupt.stop.wait()
        return _summary(kinds=0)

    monkeypatch.setattr(main, "_demo", play)
    assert run_demo(None) == 0
    assert "10 calls in 1 s" in capsys.readouterr().out


def test_nothing_stays_on_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    modes: list[int] = []

    async def play(root: Path, duration: float | None, view: View, interrupt: Interrupt) -> Summary:
        (root / "key").write_text("secret")
        modes.append(root.stat().st_mode & 0o077)  # noqa: ASYNC240
        raise ChildError("gone")

    monkeypatch.setattr(main, "_demo", play)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run_demo(1.0) == 1
    assert modes == [0]
    assert list(tmp_path.iterdir()) == []
