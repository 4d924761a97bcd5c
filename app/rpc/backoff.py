"""When to try a connection again. Pure: told of outcomes and the time."""

import random
from collections.abc import Callable

FIRST = 1.0
FACTOR = 1.6
LONGEST = 10.0
JITTER = 0.2


class Backoff:
    """Mutable: the failures in a row, told by the channel alone.

    The constants are gRPC's but for the longest wait: a certificate that is renewed or an endpoint that
    comes back should be found within seconds, and one endpoint is asked at most once per wait.

    :param uniform: gives a number between its two arguments.
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._failures = 0
        self.due = 0.0
        """Monotonic seconds before which no attempt is made."""

    def succeeded(self) -> None:
        self._failures = 0
        self.due = 0.0

    def failed(self, now: float) -> None:
        wait = min(LONGEST, FIRST * FACTOR**self._failures)
        self._failures = min(self._failures + 1, 32)
        self.due = now + wait * self._uniform(1 - JITTER, 1 + JITTER)
