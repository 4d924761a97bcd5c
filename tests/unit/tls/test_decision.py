"""Keep, swap or refuse: every combination of what is in force, what is on disk, and the time."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tls.decision import Action, Decision, decide, judge_again_at
from app.tls.validation import Fault


class Dated(msgspec.Struct, frozen=True):
    """A set that is good in [start, end), and can be used in force until `last`."""

    digest: str
    start: float
    end: float
    last: float

    def fault_at(self, now: float) -> Fault | None:
        if now < self.start:
            return Fault("not_yet_valid", self.digest)
        return Fault("expired", self.digest) if now >= self.end else None

    def unusable_at(self, now: float) -> Fault | None:
        return self.fault_at(now) if now >= self.last or now < self.start else None

    def dates(self) -> list[float]:
        return [self.start, self.end, self.last]


times = st.integers(0, 20).map(float)


@st.composite
def dated(draw: st.DrawFn) -> Dated:
    start, end, last = sorted(draw(st.tuples(times, times, times)))
    return Dated(draw(st.sampled_from("ab")), start, end, last)


faults = st.just(Fault("torn", "cut short"))

GOOD = Dated("good", 0, 10, 10)
NEWER = Dated("newer", 0, 20, 20)
FUTURE = Dated("future", 15, 30, 30)
TORN = Fault("torn", "cut short")


@pytest.mark.parametrize(
    ("in_force", "candidate", "now", "expected"),
    [
        (None, GOOD, 5, Decision(Action.SWAP, GOOD, None, None)),
        (None, TORN, 5, Decision(Action.REFUSE, None, TORN, TORN)),
        (None, FUTURE, 5, Decision(Action.REFUSE, None, FUTURE.fault_at(5), FUTURE.fault_at(5))),
        (None, GOOD, 12, Decision(Action.REFUSE, None, GOOD.fault_at(12), GOOD.fault_at(12))),
        (GOOD, GOOD, 5, Decision(Action.KEEP, GOOD, None, None)),
        (GOOD, GOOD, 12, Decision(Action.KEEP, GOOD, GOOD.fault_at(12), GOOD.fault_at(12))),
        (GOOD, NEWER, 5, Decision(Action.SWAP, NEWER, None, None)),
        (GOOD, NEWER, 12, Decision(Action.SWAP, NEWER, None, None)),
        (GOOD, TORN, 5, Decision(Action.REFUSE, GOOD, TORN, None)),
        (GOOD, TORN, 12, Decision(Action.REFUSE, GOOD, TORN, GOOD.fault_at(12))),
        (GOOD, FUTURE, 5, Decision(Action.REFUSE, GOOD, FUTURE.fault_at(5), None)),
        (GOOD, FUTURE, 16, Decision(Action.SWAP, FUTURE, None, None)),
    ],
)
def test_table(
    in_force: Dated | None, candidate: Dated | Fault, now: float, expected: Decision[Dated]
) -> None:
    assert decide(in_force, candidate, now) == expected


@given(st.none() | dated(), dated() | faults, times)
def test_last_good_wins_and_nothing_bad_gets_in(
    in_force: Dated | None, candidate: Dated | Fault, now: float
) -> None:
    decision = decide(in_force, candidate, now)
    if decision.action is Action.SWAP:
        assert decision.in_force is candidate
        assert not isinstance(candidate, Fault) and candidate.fault_at(now) is None
    else:
        assert decision.in_force is in_force  # never lost, never changed
    assert (decision.action is Action.REFUSE) <= (decision.fault is not None)
    assert (decision.in_force is None) <= (decision.unusable is not None)
    if decision.in_force is not None:
        assert decision.unusable == decision.in_force.unusable_at(now)


@given(st.none() | dated(), dated() | faults, times)
def test_deciding_twice_changes_nothing(in_force: Dated | None, candidate: Dated | Fault, now: float) -> None:
    first = decide(in_force, candidate, now)
    second = decide(first.in_force, candidate, now)
    assert second.in_force == first.in_force
    assert second.action is not Action.SWAP
    assert second.unusable == first.unusable


@given(st.none() | dated(), dated() | faults, times)
def test_between_two_dates_no_decision_changes(
    in_force: Dated | None, candidate: Dated | Fault, now: float
) -> None:
    """So it is enough to look again when `judge_again_at` says."""
    after = decide(in_force, candidate, now).in_force
    again = judge_again_at([after, candidate], now)
    until = 40.0 if again is None else again
    settled = decide(after, candidate, now)
    for moment in itertools.takewhile(lambda each: each < until, (now + step / 2 for step in range(80))):
        assert decide(after, candidate, moment) == settled
    assert again is None or again > now


def test_the_next_date_is_that_of_anything_that_is_waiting() -> None:
    assert judge_again_at([GOOD, FUTURE, TORN, None], 5) == 10
    assert judge_again_at([FUTURE], 5) == 15
    assert judge_again_at([GOOD], 10) is None
