"""The state machine of one endpoint. Pure: every transition is in this file, and takes the time as input.

        answered                failed
    NEW ────────▶ HEALTHY ◀────────────▶ UNHEALTHY ◀──────── NEW
                             answered               failed

An unhealthy endpoint keeps what Info answered last, so that requests know what they miss, until
`unhealthy_timeout` after its last answer. Then only the listing with its reason stays.
"""

import msgspec

from app.endpoints.model import EndpointInfo, State

MAX_REASON = 1000
"""Characters of a reason that are kept: a peer chooses the text of its status."""


class EndpointState(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint between two events. Times are seconds since the epoch.

    :param answered_at: of the last answer; None: never, or `info` was forgotten.
    :param since: last change of `state`.
    :param last_check: end of the last Info call; 0: none yet.
    """

    since: float
    state: State = State.NEW
    info: EndpointInfo | None = None
    answered_at: float | None = None
    last_check: float = 0.0
    last_error: str = ""

    def answered(self, info: EndpointInfo, now: float) -> "EndpointState":
        """Info answered."""
        return EndpointState(
            since=self.since if self.state is State.HEALTHY else now,
            state=State.HEALTHY,
            info=info,
            answered_at=now,
            last_check=now,
        )

    def failed(
        self, reason: str, now: float, *, unhealthy_timeout: float, strict: bool = False
    ) -> "EndpointState":
        """Info failed, or what it answered cannot be understood.

        :param unhealthy_timeout: seconds since the last answer after which `info` is forgotten.
        :param strict: its `info` is never forgotten: it is asked anyway, and without `info` it would be
            asked what it cannot answer.
        """
        answered_at = self.answered_at
        if not strict and answered_at is not None and now - answered_at >= unhealthy_timeout:
            answered_at = None
        return EndpointState(
            since=self.since if self.state is State.UNHEALTHY else now,
            state=State.UNHEALTHY,
            info=self.info if answered_at is not None else None,
            answered_at=answered_at,
            last_check=now,
            last_error=reason[:MAX_REASON] or "failed without a reason",
        )

    def interrupted(self, reason: str, now: float) -> "EndpointState":
        """Its group stopped looking after it. No check, so nothing is forgotten and no check is counted."""
        return msgspec.structs.replace(
            self,
            since=self.since if self.state is State.UNHEALTHY else now,
            state=State.UNHEALTHY,
            last_error=reason[:MAX_REASON] or "failed without a reason",
        )

    def looks_like(self, other: "EndpointState") -> bool:
        """Whether requests can tell no difference: only the times of the checks differ."""
        return (
            self.state is other.state
            and self.last_error == other.last_error
            and self.since == other.since
            and (self.info is other.info or self.info == other.info)
        )
