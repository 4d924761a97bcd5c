"""What a query may hold."""

import gc

import numpy as np
import pytest

from app.engine.budget import SMALLEST, Account, Budget, TooMuchMemory
from app.engine.model import EvaluationError

MIB = 1 << 20


def test_arrays_count_as_long_as_they_or_their_views_live() -> None:
    budget = Budget(MIB)
    array = budget.array((256, 256), np.float64)
    assert budget.held == array.nbytes == MIB // 2
    view = array[10:20].view(np.uint64)
    del array
    assert budget.held == MIB // 2
    del view
    gc.collect()
    assert budget.held == 0


def test_what_does_not_fit_is_not_allocated_and_not_counted() -> None:
    budget = Budget(MIB)
    kept = budget.array((MIB - 10,), np.uint8)
    for _ in range(2):
        with pytest.raises(TooMuchMemory, match=r"more than 1048576 bytes of memory \(--query.max-memory\)"):
            budget.array((1 << 50,), np.uint8)
    assert budget.held == len(kept)
    with pytest.raises(TooMuchMemory):
        budget.require(SMALLEST + 1)
    assert budget.held == len(kept)
    del kept
    budget.require(MIB)


def test_adopted_arrays_count_once() -> None:
    budget = Budget(MIB)
    array = np.zeros(MIB // 16)
    for each in (array, array[5:], array.view(np.uint8)):
        budget.adopt(each)
    assert budget.held == array.nbytes
    own = budget.array((SMALLEST,), np.int64)
    budget.adopt(own)
    assert budget.held == array.nbytes + own.nbytes
    del own, array, each
    gc.collect()
    assert budget.held == 0
    with pytest.raises(TooMuchMemory):
        budget.adopt(np.zeros(MIB))


def test_without_a_limit_everything_fits() -> None:
    budget = Budget()
    budget.take(1 << 60)
    budget.hold(1 << 60)
    budget.require(1 << 60)


def test_queries_do_not_share() -> None:
    one, other = Budget(MIB), Budget(MIB)
    one.take(MIB)
    other.take(MIB)
    with pytest.raises(TooMuchMemory):
        one.take(1)


def test_an_account_follows_its_owner() -> None:
    budget = Budget(100)
    account = Account(budget)
    account.resize(60)
    account.resize(100)
    with pytest.raises(TooMuchMemory):
        account.resize(101)
    account.resize(10)
    assert budget.held == 10
    account.close()
    assert budget.held == 0


def test_samples_at_once() -> None:
    budget = Budget(samples=10)
    budget.hold(10)
    budget.hold(-6)
    budget.hold(5)
    assert (budget.samples, budget.peak_samples) == (9, 10)
    with pytest.raises(EvaluationError, match="query processing would load too many samples"):
        budget.hold(2)
