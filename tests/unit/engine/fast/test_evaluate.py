"""Whole queries on tables: plans, threads, cancelling, errors, replicas, output."""

import json
import threading

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine import fast
from app.engine.cancelling import CancelFlag, Cancelled
from app.engine.fast.labels import Texts, from_labels
from app.engine.fast.notes import go_g
from app.engine.fast.output import quoted_json
from app.engine.fast.workers import Workers
from app.engine.histogram.model import FloatHistogram
from app.engine.model import (
    Annotations,
    EvaluationError,
    Hints,
    Limits,
    Matrix,
    Query,
    Scalar,
    Series,
    Vector,
    labels_of,
)
from app.engine.promql.features import ALL_FEATURES
from app.engine.promql.parser import parse
from app.engine.select.model import ChunkTable
from tests.unit.engine.fast.tables import Samples, named, table

MINUTE = 60_000


def _rising(start: int, step: int, count: int, by: float = 1.0) -> Samples:
    return [(start + place * step, place * by) for place in range(count)]


def _many(count: int) -> ChunkTable:
    return table(
        {
            named("x_total", instance=f"{number:04}", job=str(number % 7)): [
                _rising(number, 15_000, 40, 0.1 * number)
            ]
            for number in range(count)
        }
    )


def _evaluate(
    text: str, tables: ChunkTable, query: Query | None = None, threads: int = 1
) -> fast.Grid | Scalar:
    query = query or Query(text, 300_000, 600_000, 30_000)
    plan = fast.plan(parse(text), query)
    assert not plan.why
    wanted = dict.fromkeys(range(len(fast.selectors(plan))), tables)
    workers = Workers(threads)
    try:
        found = fast.evaluate(plan, wanted, CancelFlag().array, Annotations(), workers)
    finally:
        workers.close()
    assert not isinstance(found, fast.NativeGrid)
    return found


def _json(found: fast.Grid | Scalar, query: Query) -> str:
    return b"".join(fast.write_json(found, query)).decode()


# -- plans


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sum by (job) (rate(x[5m]))", ""),
        ("limit_ratio(0.5, x)", "aggregation limit_ratio"),
        ('sort_by_label(x, "job")', "function sort_by_label"),
        ("sort(x)", ""),
        ("histogram_count(x)", ""),
        ("sum(x) + limit_ratio(1, x)", "aggregation limit_ratio"),
        ("x[5m]", "a range vector as the result"),
        ('"text"', "a string as the result"),
    ],
)
def test_why_a_query_is_not_served(text: str, why: str) -> None:
    plan = fast.plan(parse(text, ALL_FEATURES), Query(text, 0, 0))
    assert plan.why == why
    assert plan.path == (fast.REFERENCE if why else fast.FAST)


def test_names_removed_at_the_end_are_for_the_reference() -> None:
    query = Query("x", 0, 0, delayed_name_removal=True)
    assert fast.plan(parse("x"), query).why == "names are removed at the end"


def test_a_plan_explains_each_node() -> None:
    plan = fast.plan(parse("sum(x) + sort_by_label(y)", ALL_FEATURES), Query("", 0, 0))
    assert fast.explained(plan.root) == {
        "name": "[fast] sum(x) + sort_by_label(y)",
        "children": [
            {"name": "[fast] sum(x)", "children": [{"name": "[fast] x", "children": []}]},
            {
                "name": "[reference (function sort_by_label)] sort_by_label(y)",
                "children": [{"name": "[fast] y", "children": []}],
            },
        ],
    }


@pytest.mark.parametrize(
    ("text", "hints"),
    [
        ("x", Hints(700_001, 2_000_000, 10_000)),
        ("x offset 1m", Hints(640_001, 1_940_000, 10_000)),
        ("x @ 5", Hints(-294_999, 5_000, 10_000)),
        ("sum by (a, b) (x)", Hints(700_001, 2_000_000, 10_000, 0, "sum", ("a", "b"), True)),
        ("sum without (a) (x)", Hints(700_001, 2_000_000, 10_000, 0, "sum", ("a",), False)),
        ("sum by (a) (rate(x[1m]))", Hints(940_001, 2_000_000, 10_000, MINUTE, "rate")),
        ("sum(x + 1)", Hints(700_001, 2_000_000, 10_000)),
        ("max_over_time(x[2m:1m])", Hints(580_001, 2_000_000, MINUTE, 0, "max_over_time")),
        ("max_over_time(rate(x[1m])[2m:] @ 900 offset 1m)", Hints(660_001, 840_000, MINUTE, MINUTE, "rate")),
    ],
)
def test_what_selectors_need(text: str, hints: Hints) -> None:
    query = Query(text, 1_000_000, 2_000_000, 10_000)
    assert [found for _, found in fast.selectors(fast.plan(parse(text), query))] == [hints]


def test_closed_windows_need_their_first_instant() -> None:
    query = Query("x", 1_000_000, 1_000_000, closed_windows=True)
    assert fast.selectors(fast.plan(parse("rate(x[1m])"), query))[0][1].start == 940_000


# -- threads


@pytest.mark.parametrize(
    "text",
    [
        "sum by (job) (rate(x_total[2m]))",
        "avg(x_total)",
        "stddev by (job) (x_total * 0.1)",
        "rate(x_total[2m])",
        "sum(x_total % 3)",
    ],
)
def test_threads_change_no_bit(text: str) -> None:
    tables = _many(2500)
    one, four = (_evaluate(text, tables, threads=threads) for threads in (1, 4))
    assert isinstance(one, fast.Grid)
    assert isinstance(four, fast.Grid)
    assert one.values.tobytes() == four.values.tobytes()
    assert (one.present == four.present).all()
    assert [one.labels.of(row) for row in range(len(one))] == [
        four.labels.of(row) for row in range(len(four))
    ]


def test_workers_deliver_in_order() -> None:
    workers = Workers(3)
    assert list(workers.in_order(50, lambda number: number * 2)) == [number * 2 for number in range(50)]
    workers.close()


def test_workers_end_their_tasks_before_their_iterator_is_closed() -> None:
    workers = Workers(3)
    release, running = threading.Event(), []

    def task(number: int) -> int:
        running.append(number)
        if number:
            release.wait(10)
        running.remove(number)
        return number

    results = workers.in_order(20, task)
    assert next(results) == 0
    release.set()
    results.close()
    assert not running
    workers.close()


@pytest.mark.parametrize("text", ["rate(x_total[2m])", "sum(rate(x_total[2m]))", "topk(1, x_total)", "1 + 1"])
def test_cancelled(text: str) -> None:
    query = Query(text, 300_000, 600_000, 30_000)
    plan = fast.plan(parse(text), query)
    flag = CancelFlag()
    flag.set()
    with pytest.raises(Cancelled):
        fast.evaluate(plan, dict.fromkeys(range(3), _many(3)), flag.array, Annotations())


# -- data


def test_replicas_are_merged() -> None:
    even = [(time, 1.0) for time in range(0, 300_000, 15_000)]
    late = [(time, 2.0) for time in range(200_000, 500_000, 15_000)]
    merged = table({named("x"): [even, late]})
    found = _evaluate("x", merged, Query("x", 0, 480_000, 60_000))
    assert isinstance(found, fast.Grid)
    # The first replica is followed to its end at 285 s; the penalty passes over the second's next sample.
    assert found.values[0].tolist() == [1, 1, 1, 1, 1, 1, 2, 2, 2]
    chained = _evaluate("count_over_time(x[1m])", msgspec.structs.replace(merged, chain=True))
    assert isinstance(chained, fast.Grid)
    assert chained.values.max() == 7


def test_samples_outside_of_a_table_do_not_count() -> None:
    cut = table({named("x"): [_rising(0, 15_000, 40)]}, start=310_000, end=400_000)
    found = _evaluate("count_over_time(x[10m])", cut, Query("", 600_000, 600_000))
    assert isinstance(found, fast.Grid)
    assert found.values.tolist() == [[6.0]]


def test_decoded_series_take_their_place() -> None:
    made = table({named("x", a="1"): [_rising(0, 15_000, 20)], named("x", a="2"): []})
    series = Series(named("x", a="2"), np.array([0, 60_000]), np.array([3.0, 5.0]))
    made = msgspec.structs.replace(made, decoded={1: series})
    found = _evaluate("sum by (a) (x)", made, Query("", 60_000, 60_000))
    assert isinstance(found, fast.Grid)
    assert found.values.tolist() == [[4.0], [5.0]]


def test_native_histograms_are_not_served_where_floats_are_wanted() -> None:
    made = table({named("x"): []})
    series = Series(named("x"), np.array([0]), np.array([0.0]), {0: FloatHistogram()})
    made = msgspec.structs.replace(made, decoded={0: series})
    with pytest.raises(fast.NotServed):
        _evaluate("max(x)", made, Query("", 0, 0))


def test_a_damaged_chunk_is_named() -> None:
    made = table({named("x", a="1"): [_rising(0, 15_000, 20)]})
    with pytest.raises(
        EvaluationError, match=r'a chunk of the series \{__name__="x", a="1"\} cannot be read'
    ):
        _evaluate("x", msgspec.structs.replace(made, length=made.length - 5))


def test_more_samples_than_a_query_may_hold() -> None:
    query = Query("x_total", 300_000, 600_000, 30_000, limits=Limits(20))
    with pytest.raises(EvaluationError, match="too many samples"):
        _evaluate("x_total", _many(3), query)


# -- labels and errors


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("rate({__name__=~'.+'}[5m])", "vector cannot contain metrics with the same labelset"),
        ("-{__name__=~'.+'}", "vector cannot contain metrics with the same labelset"),
        (
            "a + on (job) a",
            'found duplicate series for the match group {job="j"} on the right hand-side of the operation: '
            '[{__name__="a", i="1", job="j"}, {__name__="a", i="2", job="j"}];many-to-many matching not '
            "allowed: matching labels must be unique on one side",
        ),
        (
            "a * on (job) group_right () a",
            'found duplicate series for the match group {job="j"} on the left hand-side of the operation: '
            '[{__name__="a", i="1", job="j"}, {__name__="a", i="2", job="j"}];many-to-many matching not '
            "allowed: matching labels must be unique on one side",
        ),
        (
            "a + on (job) sum by (job) (a)",
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
        ),
        (
            "sum without (job) (a) + ignoring (i) group_left (i) sum(a)",
            "multiple matches for labels: grouping labels must ensure unique matches",
        ),
        ("topk(scalar(nothing), a)", "Parameter value is NaN"),
        ('label_replace(a, "x", "$1", "i", "(")', "invalid regular expression in label_replace(): ("),
        ('label_join(a, "", "-", "i")', "invalid destination label name in label_join(): "),
    ],
)
def test_errors(text: str, error: str) -> None:
    samples = _rising(0, 15_000, 40)
    made = table({named(name, i=i, job="j"): [samples] for name in ("a", "b") for i in "12"})
    only_a = table({named("a", i=i, job="j"): [samples] for i in "12"})
    nothing = table({})
    query = Query(text, 300_000, 600_000, 30_000)
    plan = fast.plan(parse(text), query)
    by_name = {"": made, "a": only_a, "nothing": nothing}
    wanted = {place: by_name[node.name] for place, (node, _) in enumerate(fast.selectors(plan))}
    with pytest.raises(EvaluationError) as raised:
        fast.evaluate(plan, wanted, CancelFlag().array, Annotations())
    assert str(raised.value) == error


_label_sets = st.dictionaries(
    st.sampled_from(["A", "__name__", "a", "b", "é"]), st.sampled_from(["", "x", "y", "é"])
)


@settings(deadline=None)
@given(st.lists(_label_sets, max_size=12))
def test_order_of_labels(sets: list[dict[str, str]]) -> None:
    rows = [labels_of(each) for each in sets]
    labels = from_labels(Texts(), rows)
    assert [labels.of(row) for row in range(len(rows))] == rows
    assert [rows[row] for row in labels.order().tolist()] == sorted(rows)


# -- output


def test_a_matrix() -> None:
    query = Query("x", 15_000, 45_500, 30_500)
    found = _evaluate("x", table({named("x", b='a"\n\x01é'): [[(0, 0.1), (40_000, float("nan"))]]}), query)
    assert isinstance(found, fast.Grid)
    value = fast.to_value(found, query)
    assert isinstance(value, Matrix)
    assert value.rows[0].labels == named("x", b='a"\n\x01é')
    text = _json(found, query)
    assert text == '[{"metric":{"__name__":"x","b":"a\\"\\n\\u0001é"},"values":[[15,"0.1"],[45.500,"NaN"]]}]'


def test_a_vector_keeps_its_order() -> None:
    query = Query("topk(2, x_total)", 60_000, 60_000)
    found = _evaluate(query.text, _many(3), query)
    value = fast.to_value(found, query)
    assert isinstance(value, Vector)
    assert [sample.value for sample in value.samples] == [pytest.approx(0.6), pytest.approx(0.3)]
    assert [element["value"] for element in json.loads(_json(found, query))] == [
        [60, "0.6000000000000001"],
        [60, "0.30000000000000004"],
    ]


def test_a_scalar() -> None:
    query = Query("1 / 3", 1_500, 1_500)
    found = _evaluate(query.text, _many(1), query)
    assert found == Scalar(1_500, 1 / 3)
    assert _json(found, query) == '[1.500,"0.3333333333333333"]'
    over_time = Query("time()", 0, 60_000, 60_000)
    assert (
        _json(_evaluate("time()", _many(1), over_time), over_time)
        == '[{"metric":{},"values":[[0,"0"],[60,"60"]]}]'
    )


def test_nothing() -> None:
    query = Query("x", 0, 60_000, 60_000)
    found = _evaluate("x", table({}), query)
    assert _json(found, query) == "[]"
    assert fast.to_value(found, query) == Matrix([])


def test_parts_of_json_are_bounded() -> None:
    query = Query("x_total", 300_000, 600_000, 30_000)
    found = _evaluate("x_total", _many(1000), query)
    workers = Workers(2)
    parts = list(fast.write_json(found, query, workers))
    workers.close()
    assert max(map(len, parts)) <= 1 << 18
    assert b"".join(parts).decode() == _json(found, query)
    assert len(json.loads(b"".join(parts))) == 1000


def test_labels_longer_than_a_part() -> None:
    query = Query("x", 15_000, 15_000)
    labels = named("x", long="y" * 600_000)
    text = _json(_evaluate("x", table({labels: [[(0, 1.0)]]}), query), query)
    assert json.loads(text)[0]["metric"]["long"] == "y" * 600_000


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a", b'"a"'),
        ('\\"\t\r\x08', b'"\\\\\\"\\t\\r\\u0008"'),
        ("<é\u2028>", '"<é\u2028>"'.encode()),
        ("é\udcff", '"é\ufffd"'.encode()),
    ],
)
def test_quoted_json(text: str, quoted: bytes) -> None:
    assert quoted_json(text) == quoted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5, "1.5"),
        (-0.1, "-0.1"),
        (2.0, "2"),
        (100.0, "100"),
        (1e6, "1e+06"),
        (123456.0, "123456"),
        (1234567.0, "1.234567e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Inf"),
        (-0.0, "-0"),
        (0.0, "0"),
    ],
)
def test_go_g(value: float, text: str) -> None:
    assert go_g(value) == text


def test_warming_up_uses_every_kernel() -> None:
    fast.warm_up()
