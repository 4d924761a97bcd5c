"""How the demo is shown: live on a terminal, as lines elsewhere, or not at all."""

from collections.abc import Callable
from typing import Protocol

import anyio
from rich.console import Console, RenderableType
from rich.live import Live

_REDRAW_INTERVAL = 0.5
_LINE_INTERVAL = 5.0


class Scene(Protocol):
    """What there is to show."""

    def progress(self) -> str:
        """One line: calls, failures, rotations so far."""

    def picture(self) -> RenderableType:
        """Everything."""


class View(Protocol):
    def event(self, line: str) -> None:
        """Something happened."""

    async def follow(self, scene: Scene) -> None:
        """Show `scene` until cancelled."""


class LiveView:
    """Draws over itself. Mutable: whether there is a picture yet, set by `follow`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawing = False

    def event(self, line: str) -> None:
        if not self._drawing:  # the picture has the later ones
            self._console.print(line, highlight=False)

    async def follow(self, scene: Scene) -> None:
        self._drawing = True
        with Live(console=self._console, auto_refresh=False, vertical_overflow="visible") as live:
            try:
                while True:
                    live.update(scene.picture(), refresh=True)
                    await anyio.sleep(_REDRAW_INTERVAL)
            finally:
                live.update(scene.picture(), refresh=True)


class LineView:
    """Writes a line for each event, and one every few seconds that says how it goes.

    :param write: takes a line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def event(self, line: str) -> None:
        self._write(line)

    async def follow(self, scene: Scene) -> None:
        while True:
            await anyio.sleep(_LINE_INTERVAL)
            self._write(scene.progress())


class SilentView:
    """Shows nothing: the summary is all that is wanted."""

    def event(self, line: str) -> None:
        pass

    async def follow(self, scene: Scene) -> None:
        await anyio.sleep_forever()
