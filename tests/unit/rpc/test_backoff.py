import pytest

from app.rpc.backoff import FACTOR, FIRST, JITTER, LONGEST, Backoff


def test_grows_to_its_limit_and_begins_anew() -> None:
    backoff = Backoff(lambda low, high: 1.0)
    waits = []
    for _ in range(20):
        backoff.failed(100.0)
        waits.append(backoff.due - 100.0)
    assert waits[0] == pytest.approx(FIRST)
    assert waits[1] == pytest.approx(FIRST * FACTOR)
    assert waits[-1] == pytest.approx(LONGEST)
    assert waits == sorted(waits)
    backoff.succeeded()
    assert backoff.due == 0.0
    backoff.failed(100.0)
    assert backoff.due == pytest.approx(100.0 + FIRST)


def test_jitter_keeps_to_its_bounds() -> None:
    for _ in range(100):
        backoff = Backoff()
        backoff.failed(0.0)
        assert FIRST * (1 - JITTER) <= backoff.due <= FIRST * (1 + JITTER)
