import io

import anyio
import pytest
from rich.console import Console
from rich.text import Text

from app.demo import view
from app.demo.view import LineView, LiveView

pytestmark = pytest.mark.anyio


class PlayedScene:
    """Mutable: how often it was looked at."""

    def __init__(self) -> None:
        self.looks = 0

    def progress(self) -> str:
        self.looks += 1
        return f"look {self.looks}"

    def picture(self) -> Text:
        return Text(f"picture: {self.progress()}")


async def test_a_terminal_shows_what_happens_before_and_the_last_state_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view, "_REDRAW_INTERVAL", 0.001)
    screen = io.StringIO()
    live, scene = LiveView(Console(file=screen, force_terminal=True, width=80)), PlayedScene()
    live.event("starting")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(live.follow, scene)
            while scene.looks < 3:  # noqa: ASYNC110
                await anyio.sleep(0.001)
            live.event("in the picture")
            tasks.cancel_scope.cancel()
    assert "starting" in screen.getvalue()
    assert "in the picture" not in screen.getvalue()
    assert f"picture: look {scene.looks}" in screen.getvalue()


async def test_lines_tell_events_and_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "_LINE_INTERVAL", 0.001)
    lines: list[str] = []
    shown = LineView(lines.append)
    shown.event("new leaves")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shown.follow, PlayedScene())
            while len(lines) < 3:  # noqa: ASYNC110
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
    assert lines[:3] == ["new leaves", "look 1", "look 2"]
