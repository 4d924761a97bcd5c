"""Keep, swap or refuse: what is done with a set that was read, given what is in force and the time.

Rule 1: everything that decides lives here. No files, no sockets, no clock of its own.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import msgspec

from app.tls.validation import Fault


class DatedSet(Protocol):
    """Identity or trust: a digest, and what the clock says of it."""

    @property
    def digest(self) -> str: ...

    def fault_at(self, now: float) -> Fault | None: ...

    def unusable_at(self, now: float) -> Fault | None: ...

    def dates(self) -> list[float]: ...


S = TypeVar("S", bound=DatedSet)


class Action(StrEnum):
    KEEP = "keep"  # what is on disk is what is in force
    SWAP = "swap"  # what is on disk is good and new
    REFUSE = "refuse"  # what is on disk is not good; last good stays, where there is one


class Decision(msgspec.Struct, Generic[S], frozen=True):
    """What to do.

    :param in_force: after the action; None: nothing was ever good.
    :param fault: what is wrong, by now, with the files on disk; None when nothing is. With KEEP it is what
        the dates have done to the set in force.
    :param unusable: why no handshake may use `in_force` (expired, every CRL past its nextUpdate); None when
        one may. It is a `fault` where nothing is in force.
    """

    action: Action
    in_force: S | None
    fault: Fault | None
    unusable: Fault | None


def decide(in_force: S | None, candidate: S | Fault, now: float) -> Decision[S]:
    """What is done with what was read.

    :param in_force: the last good set.
    :param candidate: what is on disk, or why it cannot be parsed.
    :param now: seconds since the epoch.
    """
    fault = candidate if isinstance(candidate, Fault) else candidate.fault_at(now)
    if not isinstance(candidate, Fault):
        if in_force is not None and candidate.digest == in_force.digest:
            return Decision(Action.KEEP, in_force, fault, in_force.unusable_at(now))
        if fault is None:
            return Decision(Action.SWAP, candidate, None, None)
    unusable = fault if in_force is None else in_force.unusable_at(now)
    return Decision(Action.REFUSE, in_force, fault, unusable)


def judge_again_at(sets: Iterable[DatedSet | Fault | None], now: float) -> float | None:
    """The next time at which a decision may change although no file does; None: never."""
    dates = [
        date
        for each in sets
        if each is not None and not isinstance(each, Fault)
        for date in each.dates()
        if date > now
    ]
    return min(dates, default=None)
