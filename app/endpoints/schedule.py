"""When each endpoint is asked, and when a crashed group starts again. Pure."""

import math

import msgspec

GOLDEN_FRACTION = (math.sqrt(5) - 1) / 2
START_SPACING = 0.005
"""Seconds between the first polls of endpoints that appear together. Each begins with a handshake, of
milliseconds of CPU; all at once would hold up every request."""

START_LIMIT = 20.0
"""Seconds within which every new endpoint is asked for the first time, however many they are."""


class PollSchedule(msgspec.Struct, frozen=True):
    """One endpoint's times: its first poll, then one in every interval at its own phase.

    :param interval: seconds.
    :param phase: seconds into the interval, below `interval`.
    """

    interval: float
    phase: float

    def after(self, now: float) -> float:
        """The first due time after `now`. Times that passed during a slow poll are left out."""
        turns = math.floor((now - self.phase) / self.interval) + 1
        due = turns * self.interval + self.phase
        # Rounding may give `now` itself, and the endpoint would be polled twice.
        return due if due > now else due + self.interval


class Stagger:
    """Mutable: the number of phases given out and the time of the last first poll, changed by `schedule` and
    `first_poll` alone.

    Multiples of the golden ratio divide the interval evenly whatever their number, so endpoints come and go
    without others having to move.

    :param interval: seconds.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._given = 0
        self._last_first = -math.inf

    def schedule(self) -> PollSchedule:
        """For the next endpoint."""
        self._given += 1
        return PollSchedule(self._interval, self._fraction() * self._interval)

    def first_poll(self, now: float) -> float:
        """When the next new endpoint is asked for the first time: at once, or `START_SPACING` after the one
        before it. Those who would wait longer than `START_LIMIT` are spread over it, closer together."""
        after_last = max(now, self._last_first + START_SPACING)
        if after_last > now + START_LIMIT:
            return now + self._fraction() * START_LIMIT
        self._last_first = after_last
        return after_last

    def _fraction(self) -> float:
        return math.modf(self._given * GOLDEN_FRACTION)[0]


class RestartBackoff:
    """Mutable: the number of crashes in a row, counted by `delay`.

    :param base: seconds before the first restart, doubled with each crash up to `limit`.
    :param healthy_after: seconds without crash after which the count starts again.
    """

    def __init__(self, base: float = 1.0, limit: float = 60.0, healthy_after: float = 120.0) -> None:
        self._base = base
        self._limit = limit
        self._healthy_after = healthy_after
        self._crashes = 0

    def delay(self, ran_for: float) -> float:
        """Seconds to wait after a crash.

        :param ran_for: seconds from the last start to the crash.
        """
        if ran_for >= self._healthy_after:
            self._crashes = 0
        self._crashes += 1
        return min(self._limit, self._base * 2.0 ** min(self._crashes - 1, 30))
