"""The life of one accepted connection, from its first second to its close. Pure: events and the time in,
what to do out.

Draining goes as in RFC 9113, section 6.8, and as grpc-go does it. GOAWAY with the highest possible stream
id says "open no more streams"; a PING's answer says that the client has read it; then GOAWAY with the last
stream that was accepted, and the connection ends with its last stream. A stream above that id was on its
way meanwhile; the client knows that it was not processed and sends it elsewhere.
"""

from enum import StrEnum

ACK_LIMIT = 5.0
"""Seconds that a client has to answer the PING between the two GOAWAYs."""
LINGER = 1.0
"""Seconds that a client has to close an idle connection itself: one that closes last loses no answer."""
CUT_AFTER = 5.0
"""Seconds between the first GOAWAY and the cut for a peer that is no longer trusted."""
PREFACE_LIMIT = 10.0
"""Seconds that a client has for its HTTP/2 preface."""
EXPIRY_MARGIN = 30.0
"""Seconds before the end of the peer's certificate at which draining begins."""


class Phase(StrEnum):
    OPEN = "open"
    LEAVING = "leaving"  # first GOAWAY sent
    LAST = "last"  # second GOAWAY sent: finishing what is open
    LINGER = "linger"  # nothing is open: the client is to close
    CLOSED = "closed"


class Action(StrEnum):
    NONE = "none"
    FIRST_GOAWAY = "first_goaway"  # with a PING behind it
    LAST_GOAWAY = "last_goaway"
    CLOSE = "close"


class Lifetime:
    """Mutable: phase and deadlines, changed by the events below. Times are seconds of one clock.

    :param max_age: when draining begins after `now`, jitter included; None: never by age.
    :param grace: seconds after the first GOAWAY at which what is open is cut; None: it may finish.
    :param expires: when the peer's certificate ends; None: it showed none.
    """

    def __init__(
        self, now: float, *, max_age: float | None, grace: float | None, expires: float | None
    ) -> None:
        self.phase = Phase.OPEN
        self.reason = ""
        self.forced = False
        self._grace = grace
        self._drain_at = None if max_age is None else now + max_age
        self._drain_reason = "age"
        self._step_at: float | None = None
        self._preface_by: float | None = now + PREFACE_LIMIT
        self._cut_at: float | None = None
        self._cut_reason = ""
        self._expires = expires

    @property
    def deadline(self) -> float | None:
        """When `tick` is to be called next."""
        known = [
            at for at in (self._drain_at, self._step_at, self._cut_at, self._preface_by) if at is not None
        ]
        return min(known, default=None)

    def greeted(self, now: float) -> None:
        """The client's preface and SETTINGS are there."""
        if self._preface_by is None:
            return
        self._preface_by = None
        if self._expires is not None:
            self._cut(self._expires, "peer_expiry")
            # A client may show the same certificate again, to its end: not one handshake after the other.
            left = self._expires - now
            self.drain_by(now + max(left - EXPIRY_MARGIN, left / 2, 0.0), "peer_expiry")

    def drain_by(self, at: float, reason: str) -> None:
        """Begin to drain at a time, unless that is due sooner."""
        if self.phase is Phase.OPEN and (self._drain_at is None or at < self._drain_at):
            self._drain_at, self._drain_reason = at, reason

    def distrust(self, now: float) -> Action:
        """The peer is not trusted any more: drain now, and cut soon."""
        self._cut(now + CUT_AFTER, "untrusted")
        return self.drain(now, "untrusted")

    def drain(self, now: float, reason: str, grace: float | None = None) -> Action:
        """Begin to drain now.

        :param grace: seconds; None: as configured.
        """
        limit = self._grace if grace is None else grace
        if limit is not None:
            self._cut(now + limit, "grace")
        if self.phase is not Phase.OPEN:
            return Action.NONE
        self.phase, self.reason = Phase.LEAVING, reason
        self._drain_at = None
        self._step_at = now + ACK_LIMIT
        return Action.FIRST_GOAWAY

    def broken(self, now: float) -> None:
        """The client broke the protocol: it has `LINGER` seconds to read what it is told about that."""
        self._drain_at = self._step_at = self._preface_by = None
        self._cut(now + LINGER, "protocol")

    def acknowledged(self, now: float, streams: int) -> Action:
        """The client has answered the PING: it has read the first GOAWAY."""
        if self.phase is not Phase.LEAVING:
            return Action.NONE
        self.phase, self._step_at = Phase.LAST, None
        self.stream_ended(now, streams)
        return Action.LAST_GOAWAY

    def stream_ended(self, now: float, streams: int) -> None:
        """A stream has ended; `streams` are left."""
        if self.phase is Phase.LAST and streams == 0:
            self.phase, self._step_at = Phase.LINGER, now + LINGER

    def tick(self, now: float, streams: int) -> Action:
        """The time is `now`: what is due?"""
        if self.phase is Phase.CLOSED:
            return Action.NONE
        if self._preface_by is not None and now >= self._preface_by:
            return self._close("no_preface")
        if self._cut_at is not None and now >= self._cut_at:
            self.forced = streams > 0
            return self._close(self._cut_reason)
        if self.phase is Phase.OPEN and self._drain_at is not None and now >= self._drain_at:
            return self.drain(now, self._drain_reason)
        if self._step_at is not None and now >= self._step_at:
            if self.phase is Phase.LEAVING:
                return self.acknowledged(now, streams)
            return self._close(self.reason)
        return Action.NONE

    def closed(self) -> None:
        """The connection is gone."""
        self.phase = Phase.CLOSED
        self._drain_at = self._step_at = self._cut_at = self._preface_by = None

    def _cut(self, at: float, reason: str) -> None:
        if self.phase is not Phase.CLOSED and (self._cut_at is None or at < self._cut_at):
            self._cut_at, self._cut_reason = at, reason

    def _close(self, reason: str) -> Action:
        self.reason = self.reason or reason
        self.closed()
        return Action.CLOSE
