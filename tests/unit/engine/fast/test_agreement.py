"""Generated data and all kinds of queries: the fast path and the reference evaluator agree."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.engine.model import STALE, Labels, Query, Series, labels_of
from tests.harness.stored import Stored
from tests.unit.engine.fast.agreement import check

_STEP = 15_000

WINDOW_FUNCTIONS = (
    "rate increase delta irate idelta sum_over_time avg_over_time min_over_time max_over_time"
    " count_over_time last_over_time first_over_time present_over_time stddev_over_time stdvar_over_time"
    " changes resets deriv absent_over_time mad_over_time ts_of_first_over_time ts_of_last_over_time"
).split()
AGGREGATIONS = "sum avg min max count group stddev stdvar".split()
OPERATORS = "+ - * / % ^ atan2 == != < <= > >=".split()


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
    for name in ("x_total", "y")
    for job in ("a", "b")
    for instance in ("1", "2")
    for more in ({}, {"le": "1", "zone": "z"}, {"le": "+Inf"})
]


@st.composite
def storages(draw: st.DrawFn) -> Stored:
    chosen = draw(st.lists(st.sampled_from(_LABELS), unique=True, max_size=6))
    return Stored([draw(_series(labels)) for labels in chosen])


_at = st.sampled_from(["", " offset 1m", " offset -1m", " @ 500", " @ end() offset 30s"])
_selector = st.builds(
    "{}{}".format,
    st.sampled_from(["x_total", "y", '{job="a"}', '{__name__=~".+"}', 'x_total{instance="1"}']),
    _at,
)
_range = st.builds(
    "{}[{}]{}".format,
    st.sampled_from(["x_total", "y", '{job="a"}', '{__name__=~".+"}']),
    st.sampled_from(["15s", "1m", "5m", "10m1s500ms"]),
    _at,
)
_grouping = st.sampled_from(["", "by (job)", "without (instance)", "by (job, le)", "by (nothing)"])
_leaves = st.one_of(
    _selector,
    st.builds("{}({})".format, st.sampled_from(WINDOW_FUNCTIONS), _range),
    st.builds("quantile_over_time({}, {})".format, st.sampled_from(["0.3", "2", "NaN", "0"]), _range),
    st.builds("predict_linear({}, {})".format, _range, st.sampled_from(["60", "-time()"])),
)


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    matching = st.sampled_from(
        ["", "on (job)", "ignoring (le, zone)", "on (job) group_left ()", "on (instance) group_right (zone)"]
    )
    return st.one_of(
        st.builds("{} {} ({})".format, st.sampled_from(AGGREGATIONS), _grouping, inner),
        st.builds("quantile {} (0.4, {})".format, _grouping, inner),
        st.builds("({}) {} {} ({})".format, inner, st.sampled_from(OPERATORS), matching, inner),
        st.builds(
            "({}) {} {} ({})".format,
            inner,
            st.sampled_from(["and", "or", "unless"]),
            st.sampled_from(["", "on (job)", "ignoring (le, zone)"]),
            inner,
        ),
        st.builds("({}) {} 2".format, inner, st.sampled_from(OPERATORS)),
        st.builds("2 {} bool ({})".format, st.sampled_from(["<", ">=", "==", "!="]), inner),
        st.builds("-({})".format, inner),
        st.builds(
            "{}({})".format,
            st.sampled_from(
                "abs ceil floor sgn sqrt exp ln absent timestamp month day_of_week days_in_month hour".split()
            ),
            inner,
        ),
        st.builds("vector(scalar({}))".format, inner),
        st.builds("clamp({}, 1, 5)".format, inner),
        st.builds("round({}, 0.3)".format, inner),
        st.builds("histogram_quantile({}, {})".format, st.sampled_from(["0.5", "1.5", "scalar(y)"]), inner),
        st.builds('label_replace({}, "job", "$1x", "instance", "(1)|(2)")'.format, inner),
        st.builds('label_join({}, "new", "-", "job", "le")'.format, inner),
        st.builds(
            "{}(({})[{}:{}]{})".format,
            st.sampled_from(["max_over_time", "irate", "delta", "count_over_time", "last_over_time"]),
            inner,
            st.sampled_from(["1m", "3m"]),
            st.sampled_from(["", "30s", "7s"]),
            _at,
        ),
    )


_expressions = st.recursive(_leaves, _wider, max_leaves=3)
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
@given(storages(), _expressions, _queries, st.booleans())
def test_agreement(storage: Stored, expression: str, when: tuple[int, int, int], closed: bool) -> None:
    start, end, step = when
    query = Query(expression, start, end, step, closed_windows=closed)
    check(query, expression, storage, ordered=False)


@pytest.mark.parametrize("func", WINDOW_FUNCTIONS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(storages(), _range, _queries)
def test_every_function_of_windows(
    func: str, storage: Stored, ranged: str, when: tuple[int, int, int]
) -> None:
    expression = f"{func}({ranged})"
    assert check(Query(expression, *when), expression, storage)
