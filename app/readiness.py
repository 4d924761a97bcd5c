"""Whether the querier may be asked. Pure: fed with what is known and the time."""

from collections.abc import Sequence
from enum import StrEnum

START_LIMIT = 30.0
"""Seconds after which a querier is ready although endpoints have not answered or discovery failed."""


class Phase(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Readiness:
    """Mutable: the phase, which only goes forward. The lifecycle alone calls what changes it.

    An endpoint that dies later does not make the querier unready: it answers for the others, and says what
    is missing.

    :param started: seconds on the clock that `look` is given.
    """

    def __init__(self, started: float) -> None:
        self._started = started
        self.phase = Phase.STARTING
        self.reason = "starting"

    def look(
        self, now: float, *, first_round_over: bool, discovery_failed: Sequence[str], warm: bool
    ) -> bool:
        """Open the gate when nothing holds it any more.

        :param first_round_over: every endpoint of every group has answered or failed once.
        :param discovery_failed: why addresses could not be found.
        :param warm: whether the kernels are compiled. Nothing can be answered before, so it has no limit.
        :returns: whether the gate is open.
        """
        if self.phase is Phase.STARTING:
            holding = []
            if now - self._started < START_LIMIT:
                holding = list(discovery_failed)
                if not first_round_over:
                    holding.insert(0, "not all endpoints have been asked yet")
            if not warm:
                holding.insert(0, "the kernels are being compiled")
            self.reason = "; ".join(holding)
            if not holding:
                self.phase = Phase.READY
        return self.phase is not Phase.STARTING

    def drain(self) -> None:
        """Close the gate for good."""
        self.phase = Phase.DRAINING
        self.reason = "the querier is stopping"

    @property
    def ready(self) -> bool:
        return self.phase is Phase.READY
