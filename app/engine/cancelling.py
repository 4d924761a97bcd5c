"""How work in another thread is told to end."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Reason = Literal["canceled", "timeout"]
_CODES: dict[Reason, int] = {"canceled": 1, "timeout": 2}


class Cancelled(Exception):
    """The work was told to end. Nobody waits for its result."""


class CancelFlag:
    """Mutable: set once, by whoever waits; kernels and evaluators poll it.

    :ivar array: (1,) uint8, 0 as long as the work is wanted.
    """

    def __init__(self) -> None:
        self.array: NDArray[np.uint8] = np.zeros(1, np.uint8)

    def set(self, reason: Reason = "canceled") -> None:
        self.array[0] = _CODES[reason]

    def check(self) -> None:
        """:raises Cancelled: it was set."""
        if self.array[0]:
            raise Cancelled
