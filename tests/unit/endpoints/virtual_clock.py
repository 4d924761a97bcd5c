"""An event loop whose clock jumps to the next timer when nothing else is to be done.

Tests see every interval and grace in full, and wait for none of them.
"""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class _JumpingSelector(selectors.SelectSelector):
    """Mutable: the time, moved forward by `select` instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or timeout is None:
            return events or super().select(5)
        self.now += max(timeout, 0.0)
        return events


class VirtualClockLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


BACKEND: tuple[str, Mapping[str, Any]] = ("asyncio", {"loop_factory": VirtualClockLoop})
