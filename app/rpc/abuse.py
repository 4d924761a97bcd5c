"""What one connection may cost us in frames that are cheap to send and dear to handle. Pure.

A budget that refills: rapid reset (HEADERS then RST_STREAM, CVE-2023-44487) and floods of PING, SETTINGS,
PRIORITY and empty DATA spend it, a client in its senses never sees its end.
"""

CAPACITY = 2000.0
REFILL = 200.0
"""Points a second."""

RESET = 2.0
PING = 1.0
SETTINGS = 10.0
PRIORITY = 1.0
EMPTY_DATA = 1.0


class AbuseBudget:
    """Mutable: the points left, spent by the protocol.

    :param now: monotonic seconds.
    """

    def __init__(self, now: float) -> None:
        self._left = CAPACITY
        self._seen = now

    def spend(self, cost: float, now: float) -> bool:
        """Whether the connection may go on after this."""
        self._left = min(CAPACITY, self._left + (now - self._seen) * REFILL)
        self._seen = now
        self._left -= cost
        return self._left >= 0
