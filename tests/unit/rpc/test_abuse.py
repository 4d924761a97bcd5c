from hypothesis import given
from hypothesis import strategies as st

from app.rpc.abuse import CAPACITY, PING, REFILL, RESET, AbuseBudget


def test_a_flood_ends_the_budget_and_a_client_in_its_senses_does_not() -> None:
    flood = AbuseBudget(0.0)
    assert sum(flood.spend(RESET, 0.001 * number) for number in range(20_000)) < 2 * CAPACITY
    calm = AbuseBudget(0.0)
    assert all(calm.spend(PING, number / 100) for number in range(20_000))


@given(st.lists(st.tuples(st.floats(0, 10), st.sampled_from([RESET, PING])), max_size=200))
def test_never_more_than_capacity_and_refill(spent: list[tuple[float, float]]) -> None:
    budget, now, granted = AbuseBudget(0.0), 0.0, 0.0
    for wait, cost in spent:
        now += wait
        if budget.spend(cost, now):
            granted += cost
    assert granted <= CAPACITY + REFILL * now + 1e-6
