import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.endpoints.schedule import START_LIMIT, START_SPACING, PollSchedule, RestartBackoff, Stagger

INTERVAL = 5.0


@given(st.floats(0, 1e7), st.floats(0, 0.999), st.floats(0.1, 60))
def test_due_times_come_once_in_every_interval(now: float, fraction: float, interval: float) -> None:
    schedule = PollSchedule(interval, fraction * interval)
    due = schedule.after(now)
    assert now < due <= now + interval * 1.001 + 1e-6
    assert math.isclose(schedule.after(due), due + interval, rel_tol=1e-9, abs_tol=1e-6)


def test_times_that_passed_during_a_slow_poll_are_left_out() -> None:
    assert PollSchedule(INTERVAL, 1.0).after(17.2) == 21.0


@given(st.integers(2, 400))
def test_phases_are_even_whatever_their_number(count: int) -> None:
    stagger = Stagger(INTERVAL)
    phases = sorted(stagger.schedule().phase for _ in range(count))
    around = [*phases, phases[0] + INTERVAL]
    largest = max(b - a for a, b in pairwise(around))
    assert largest <= 2.7 * INTERVAL / count


def test_first_polls_are_spaced() -> None:
    stagger = Stagger(INTERVAL)
    firsts = [stagger.first_poll(100.0) for _ in range(3)]
    assert firsts == pytest.approx([100.0, 100.0 + START_SPACING, 100.0 + 2 * START_SPACING])
    assert stagger.first_poll(500.0) == 500.0


def test_first_polls_of_very_many_are_closer_together_but_not_at_once() -> None:
    stagger = Stagger(INTERVAL)
    firsts = []
    for _ in range(20_000):
        stagger.schedule()
        firsts.append(stagger.first_poll(100.0))
    assert max(firsts) <= 100.0 + START_LIMIT
    by_second = Counter(int(first) for first in firsts)
    assert max(by_second.values()) < 1.5 * len(firsts) / START_LIMIT


def test_backoff_doubles_to_its_limit_and_starts_again_after_a_good_run() -> None:
    backoff = RestartBackoff(base=1, limit=60, healthy_after=120)
    assert [backoff.delay(0) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.delay(119) == 60
    assert backoff.delay(120) == 1
    assert [backoff.delay(0) for _ in range(3000)][-1] == 60
