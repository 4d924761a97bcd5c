"""Generated data and all kinds of queries: the fast path and the reference evaluator agree."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.engine.model import STALE, Labels, Query, Series, labels_of
from tests.harness.expressions import (
    LINES,
    NEW_WINDOW_FUNCTIONS,
    RATES,
    WINDOW_FUNCTIONS,
    expressions,
    placed,
    ranges,
)
from tests.harness.stored import Stored
from tests.unit.engine.fast.agreement import check

_STEP = 15_000

_values = st.one_of(
    st.integers(-5, 100).map(float),
    st.sampled_from([0.0, -0.0, 1e300, -1e300, float("nan"), float("inf"), float("-inf"), STALE]),
    st.floats(-1e6, 1e6, width=32),
)


@st.composite
def _series(draw: st.DrawFn, labels: Labels) -> Series:
    """Mostly regular, with gaps and jitter."""
    count = draw(st.integers(1, 40))
    gaps = draw(st.lists(st.sampled_from([_STEP, _STEP, _STEP, _STEP + 7, 40_000, 400_000]), min_size=count))
    times = np.cumsum([draw(st.integers(0, 600_000)), *gaps[: count - 1]])
    rising = draw(st.booleans())
    if rising:
        values = np.cumsum(draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))).astype(float)
        if draw(st.booleans()):
            values[draw(st.integers(0, count - 1)) :] -= values[0]
            values %= draw(st.sampled_from([7.0, 100.0]))
    else:
        values = np.array(draw(st.lists(_values, min_size=count, max_size=count)))
    return Series(labels, times.astype(np.int64), values)


_LABELS = [
    labels_of({"__name__": name, "job": job, "instance": instance, **more})
    for name in ("x_total", "y", "w", "b")
    for job in ("a", "b")
    for instance in ("1", "2")
    for more in ({}, {"le": "1", "zone": "z"}, {"le": "+Inf"})
]


@st.composite
def storages(draw: st.DrawFn) -> Stored:
    chosen = draw(st.lists(st.sampled_from(_LABELS), unique=True, max_size=6))
    return Stored([draw(_series(labels)) for labels in chosen])


_queries = st.sampled_from(
    [
        (600_000, 600_000, 0),
        (0, 900_000, 60_000),
        (300_000, 1_000_000, 25_000),
        (7, 7, 0),
        (500_000, 500_000, 0),
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(storages(), expressions(peer=False), _queries, st.booleans())
def test_agreement(storage: Stored, expression: str, when: tuple[int, int, int], closed: bool) -> None:
    start, end, step = when
    expression = placed(expression, 0)
    query = Query(expression, start, end, step, closed_windows=closed)
    check(query, expression, storage, ordered=False)


@pytest.mark.parametrize("func", [*WINDOW_FUNCTIONS, *RATES, *LINES, *NEW_WINDOW_FUNCTIONS])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(storages(), ranges(), _queries)
def test_every_function_of_windows(
    func: str, storage: Stored, ranged: str, when: tuple[int, int, int]
) -> None:
    expression = placed(f"{func}({ranged})", 0)
    assert check(Query(expression, *when), expression, storage)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    storages(),
    st.sampled_from(
        [
            "sort({})",
            "sort_desc({})",
            "sort_desc(sum by (job) ({}))",
            "limitk(1, {})",
            "limitk by (job) (2.5, {})",
            "limitk(0, {})",
            'count_values("v", {})',
            'count_values without (instance) ("v", {})',
            'count_values by (job) ("job", {})',
        ]
    ),
    st.sampled_from(["x_total", "y", '{job="a"}', '{__name__=~".+"}']),
    _queries,
)
def test_orders_and_counts(storage: Stored, around: str, selector: str, when: tuple[int, int, int]) -> None:
    """Sorting is for instant queries, and left to the reference evaluator in others."""
    expression = around.format(selector)
    assert check(Query(expression, *when), expression, storage) or (when[2] and "sort" in around)
