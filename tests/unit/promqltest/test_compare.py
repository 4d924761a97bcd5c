"""Comparison of results with what is expected: a test that cannot fail is worse than none."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from app.engine.histogram.model import FloatHistogram
from app.engine.model import (
    STALE,
    Annotations,
    EvaluationError,
    Labels,
    Matrix,
    Row,
    Sample,
    Scalar,
    String,
    Value,
    Vector,
)
from app.engine.promql.ast import Span
from tests.promqltest.compare import (
    Mismatch,
    almost,
    check_annotations,
    check_failure,
    check_value,
    same,
)
from tests.promqltest.description import histogram, series
from tests.promqltest.script import Eval, Expect

A: Labels = (("l", "a"),)
B: Labels = (("l", "b"),)
NONE = Eval(1, "x", 0, 0, 0)
RANGE = Eval(1, "x", 0, 20, 10)
ORDERED = (Expect("ordered"),)


def expecting(case: Eval, *lines: str) -> Eval:
    return msgspec.structs.replace(case, rows=dict(series(line) for line in lines))


def vector(*samples: tuple[Labels, float | FloatHistogram]) -> Vector:
    return Vector([Sample(labels, value, 0) for labels, value in samples])


def row(labels: Labels, points: Sequence[tuple[int, float | FloatHistogram]]) -> Row:
    histograms = {at: value for at, (_, value) in enumerate(points) if isinstance(value, FloatHistogram)}
    values = [value.sum if isinstance(value, FloatHistogram) else value for _, value in points]
    times = np.array([time for time, _ in points], np.int64)
    return Row(labels, times, np.array(values, np.float64), histograms)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1.0, 1.0, True),
        (1.0, 1.000001, True),
        (1.0, 1.00001, False),
        (1e300, 1.0000001e300, True),
        (-1.0, 1.0, False),
        (0.0, 1e-320, True),
        (0.0, 1e-310, False),
        (0.0, -0.0, True),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (math.inf, 1e308, False),
        (math.nan, math.nan, True),
        (math.nan, 1.0, False),
        (STALE, STALE, True),
        (STALE, math.nan, False),
    ],
)
def test_almost(a: float, b: float, equal: bool) -> None:
    assert almost(a, b) is equal
    assert almost(b, a) is equal


BASE = "schema:1 sum:2 count:3 z_bucket:1 z_bucket_w:0.5 buckets:[1 2] n_buckets:[3]"


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        (BASE, True),
        (BASE.replace("sum:2", "sum:2.0000001"), True),
        (BASE.replace("buckets:[1 2]", "buckets:[0 1 2 0] offset:-1"), True),
        (BASE + " counter_reset_hint:gauge", True),
        (BASE.replace("schema:1", "schema:2"), False),
        (BASE.replace("sum:2", "sum:2.1"), False),
        (BASE.replace("count:3", "count:4"), False),
        (BASE.replace("z_bucket:1", "z_bucket:2"), False),
        (BASE.replace("z_bucket_w:0.5", "z_bucket_w:0.50000001"), False),
        (BASE.replace("buckets:[1 2]", "buckets:[1 3]"), False),
        (BASE.replace("buckets:[1 2]", "buckets:[1 2 1]"), False),
        (BASE.replace("buckets:[1 2]", "buckets:[1 2] offset:1"), False),
        (BASE.replace("n_buckets:[3]", "n_buckets:[4]"), False),
        (BASE.replace(" n_buckets:[3]", ""), False),
    ],
)
def test_histograms(other: str, equal: bool) -> None:
    assert same(histogram(BASE), histogram(other), hint=False) is equal


def test_empty_buckets_do_not_count() -> None:
    assert same(FloatHistogram(positive={1: 0.0, 2: 1.0}), FloatHistogram(positive={2: 1.0}), hint=False)


def test_bounds_must_be_the_same() -> None:
    a, b = (histogram(f"schema:-53 custom_values:[1 {last}] buckets:[1]") for last in (2, 3))
    assert not same(a, b, hint=False)
    assert same(a, a, hint=False)


def test_the_hint_of_a_reset_matters_where_it_is_given() -> None:
    gauge = vector((A, histogram("count:1 counter_reset_hint:gauge")))
    check_value(expecting(NONE, '{l="a"} {{count:1}}'), gauge)
    check_value(expecting(NONE, '{l="a"} {{count:1 counter_reset_hint:gauge}}'), gauge)
    with pytest.raises(Mismatch, match="counter_reset_hint:gauge"):
        check_value(expecting(NONE, '{l="a"} {{count:1 counter_reset_hint:unknown}}'), gauge)


@pytest.mark.parametrize(
    ("case", "value"),
    [
        (NONE, Vector([])),
        (NONE, Matrix([])),
        (expecting(NONE, '{l="a"} 1', '{l="b"} NaN'), vector((B, math.nan), (A, 1.0))),
        (msgspec.structs.replace(NONE, scalar=2.0), Scalar(0, 2.0)),
        (msgspec.structs.replace(NONE, string="s"), String(0, "s")),
        (msgspec.structs.replace(NONE, string=""), String(0, "")),
        (
            expecting(msgspec.structs.replace(NONE, expects=ORDERED), '{l="b"} 1', '{l="a"} 2'),
            vector((B, 1.0), (A, 2.0)),
        ),
        (
            expecting(RANGE, '{l="a"} 1 _ {{count:2}}'),
            Matrix([row(A, [(0, 1.0), (20, histogram("count:2"))])]),
        ),
        (
            expecting(msgspec.structs.replace(NONE, range=(5, 15, 10)), '{l="a"} 1 2'),
            Matrix([row(A, [(5, 1.0), (15, 2.0)])]),
        ),
    ],
)
def test_as_expected(case: Eval, value: Value) -> None:
    check_value(case, value)


ONE = expecting(NONE, '{l="a"} 1')
TWO = expecting(RANGE, '{l="a"} 1 2', '{l="b"} 3')
BOTH = [row(A, [(0, 1.0), (10, 2.0)]), row(B, [(0, 3.0)])]


@pytest.mark.parametrize(
    ("case", "value", "what"),
    [
        (ONE, vector(), "not found"),
        (ONE, vector((A, 2.0)), "expected 1.0, got 2.0"),
        (ONE, vector((A, 1.0), (B, 1.0)), "unexpected"),
        (ONE, vector((A, 1.0), (A, 1.0)), "comes twice"),
        (ONE, vector((A, FloatHistogram(count=1))), "expected 1.0, got {{"),
        (expecting(NONE, '{l="a"} {{count:1}}'), vector((A, 1.0)), "got 1.0"),
        (expecting(NONE, '{l="a"} _'), vector((A, 1.0)), "expected None"),
        (ONE, Scalar(0, 1.0), "got the scalar"),
        (ONE, String(0, "1"), "expected no string"),
        (ONE, Matrix([row(A, [(0, 1.0)])]), "expected no matrix"),
        (
            expecting(msgspec.structs.replace(NONE, expects=ORDERED), '{l="b"} 1', '{l="a"} 2'),
            vector((A, 2.0), (B, 1.0)),
            "expected the order",
        ),
        (msgspec.structs.replace(NONE, scalar=2.0), Scalar(0, 3.0), "expected 2.0"),
        (msgspec.structs.replace(NONE, scalar=2.0), vector(((), 2.0)), "expected the scalar"),
        (msgspec.structs.replace(NONE, scalar=2.0), Matrix([row((), [(0, 2.0)])]), "expected no matrix"),
        (msgspec.structs.replace(NONE, string="s"), String(0, "t"), "expected the string 's'"),
        (msgspec.structs.replace(NONE, string="s"), Vector([]), "expected the string 's'"),
        (TWO, Matrix(BOTH[:1]), "not found"),
        (TWO, Matrix([*BOTH, row((("l", "c"),), [(0, 1.0)])]), "unexpected"),
        (TWO, Matrix(BOTH[::-1]), "not sorted"),
        (TWO, Matrix([BOTH[0], BOTH[0], BOTH[1]]), "comes twice"),
        (TWO, Matrix([row(A, [(0, 1.0), (10, 2.5)]), BOTH[1]]), "expected 2.0, got 2.5"),
        (TWO, Matrix([row(A, [(0, 1.0), (20, 2.0)]), BOTH[1]]), "expected points at [0, 10]"),
        (TWO, Matrix([row(A, [(0, 1.0), (10, 2.0), (10, 2.0)]), BOTH[1]]), "expected points at [0, 10]"),
        (TWO, Vector([]), "expected a matrix"),
        (
            expecting(RANGE, '{l="a"} 1 2 3 4'),
            Matrix([row(A, [(0, 1.0), (10, 2.0), (20, 3.0), (30, 4.0)])]),
            "more points expected",
        ),
        (msgspec.structs.replace(TWO, expects=ORDERED), Matrix(BOTH), "expected no matrix"),
    ],
)
def test_not_as_expected(case: Eval, value: Value, what: str) -> None:
    with pytest.raises(Mismatch) as caught:
        check_value(case, value)
    assert what in str(caught.value)


def said(*, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Annotations:
    found = Annotations()
    for each in warnings:
        found.warn(each, Span(2, 3))
    for each in infos:
        found.info(each, Span(0, 1))
    return found


WARN, INFO = Expect("warn"), Expect("info")
EXACT = Expect("warn", "PromQL warning: careful (1:3)", regex=False)


@pytest.mark.parametrize(
    ("expects", "annotations"),
    [
        ((), said()),
        ((), said(warnings=["careful"], infos=["look"])),
        ((WARN,), said(warnings=["careful", "beware"])),
        ((WARN, INFO), said(warnings=["careful"], infos=["look"])),
        ((EXACT,), said(warnings=["careful"], infos=["look"])),
        ((Expect("info", r"look \(1:1\)$"),), said(infos=["look"])),
        ((EXACT, Expect("warn", "beware")), said(warnings=["careful", "beware"])),
        ((Expect("no_warn"),), said(infos=["look"])),
        ((Expect("no_info"),), said(warnings=["careful"])),
    ],
)
def test_annotations(expects: Sequence[Expect], annotations: Annotations) -> None:
    check_annotations(msgspec.structs.replace(NONE, expects=expects), annotations, "x + y")


@pytest.mark.parametrize(
    ("expects", "annotations", "what"),
    [
        ((WARN,), said(infos=["look"]), "expected warn"),
        ((INFO,), said(warnings=["careful"]), "expected info"),
        ((EXACT,), said(warnings=["careful!"]), "expected warn"),
        ((EXACT,), said(warnings=["careful", "beware"]), "unexpected warn: PromQL warning: beware"),
        ((EXACT, Expect("warn", "beware")), said(warnings=["careful"]), "expected warn 'beware'"),
        ((Expect("no_warn"),), said(warnings=["careful"]), "unexpected annotations"),
        ((Expect("no_info"),), said(infos=["look"]), "unexpected annotations"),
    ],
)
def test_unexpected_annotations(expects: Sequence[Expect], annotations: Annotations, what: str) -> None:
    with pytest.raises(Mismatch) as caught:
        check_annotations(msgspec.structs.replace(NONE, expects=expects), annotations, "x + y")
    assert what in str(caught.value)


def test_failures() -> None:
    error = EvaluationError("it broke")
    check_failure([Expect("fail")], error)
    check_failure([Expect("fail"), Expect("fail", "it broke", regex=False)], error)
    check_failure([Expect("fail", "bro.e$")], error)
    for other in (Expect("fail", "it brok", regex=False), Expect("fail", "^broke")):
        with pytest.raises(Mismatch, match="got 'it broke'"):
            check_failure([Expect("fail"), other], error)
