"""What is evaluated of a case, and what of it fails the case."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.engine.model import (
    Annotations,
    EvaluationError,
    Matrix,
    Query,
    Row,
    Sample,
    Scalar,
    Storage,
    String,
    Value,
    Vector,
)
from app.engine.promql.ast import Expr, Matcher
from app.engine.promql.parser import parse
from tests.promqltest.compare import Mismatch
from tests.promqltest.runner import Case, cases, pinned, run
from tests.promqltest.script import ScriptError

MINUTE = 60_000


@pytest.fixture
def case(tmp_path: Path) -> Callable[[str], Case]:
    """The last case of a file."""

    def made(text: str) -> Case:
        path = tmp_path / "some.test"
        path.write_text(text)
        return list(cases(path))[-1]

    return made


CaseOf = Callable[[str], Case]


class Constant:
    """Mutable: the queries that it was asked. Gives one value, at all times and in all forms."""

    def __init__(self, value: float = 1.0, *, scalar: bool = False) -> None:
        self.value = value
        self.scalar = scalar
        self.asked: list[Query] = []

    def at(self, query: Query, time: int) -> float:
        """To be changed by those that are wrong somewhere."""
        return self.value

    def __call__(self, query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
        assert expression == query.text
        parse(query.text)
        self.asked.append(query)
        if query.step:
            times = np.arange(query.start, query.end + 1, query.step)
            values = np.array([self.at(query, int(time)) for time in times])
            return Matrix([Row((), times, values)]), Annotations()
        if self.scalar:
            return Scalar(query.start, self.at(query, query.start)), Annotations()
        return Vector([Sample((), self.at(query, query.start), query.start)]), Annotations()

    @property
    def instants(self) -> list[tuple[str, int]]:
        return [(query.text, query.start) for query in self.asked if not query.step]

    @property
    def ranges(self) -> list[tuple[str, int, int, int]]:
        return [(query.text, query.start, query.end, query.step) for query in self.asked if query.step]


class Failing(Constant):
    def __call__(self, query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
        super().__call__(query, expression, storage)
        raise EvaluationError("it broke")


class Saying(Constant):
    """Warns."""

    def __call__(self, query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
        value, annotations = super().__call__(query, expression, storage)
        annotations.warn("careful")
        return value, annotations


def test_a_case_has_all_that_is_loaded_since_the_last_clear(tmp_path: Path) -> None:
    path = tmp_path / "some.test"
    path.write_text(
        "load 1m\n  a 1\n\neval instant at 0 a\n\nload 1m\n  b 1\n\neval instant at 0 b\n\n"
        "clear\neval instant at 0 c\n\nload 1m\n  d {{}}\n\neval instant at 0 d\n"
    )
    found = list(cases(path))
    assert [each.name for each in found] == ["some:4", "some:9", "some:12", "some:17"]
    assert [len(each.loads) for each in found] == [1, 2, 0, 1]
    assert [each.of_histograms for each in found] == [False, False, False, True]


def test_an_instant_is_evaluated_pinned_and_in_ranges(case: CaseOf) -> None:
    evaluator = Constant()
    run(case("eval instant at 5m a + 1\n  {} 1\n"), evaluator)
    fixed = "a @ 300.000 + 1"
    assert evaluator.instants == [
        ("a + 1", 300_000),
        (fixed, -3_000_000),
        (fixed, 0),
        (fixed, 60_000),
        (fixed, 300_000),
        (fixed, 3_000_000),
    ]
    assert evaluator.ranges == [(text, at - MINUTE, at + MINUTE, MINUTE) for text, at in evaluator.instants]


def test_at_the_epoch_the_other_times_are_around_it(case: CaseOf) -> None:
    evaluator = Constant()
    run(case("eval instant at 0 a\n  {} 1\n"), evaluator)
    assert [at for _, at in evaluator.instants] == [0, -1000, 0, 1000]


def test_the_engine_is_set_up_as_in_the_suite(case: CaseOf) -> None:
    evaluator = Constant()
    run(case("eval instant at 0 a\n  {} 1\n"), evaluator)
    query = evaluator.asked[0]
    assert (query.lookback, query.subquery_step, query.limits.samples) == (300_000, 60_000, 10_000)
    assert query.delayed_name_removal


def test_a_range_is_evaluated_once(case: CaseOf) -> None:
    evaluator = Constant()
    run(case("eval range from 0 to 2m step 1m a\n  {} 1 1 1\n"), evaluator)
    assert [(each.text, each.start, each.end, each.step) for each in evaluator.asked] == [
        ("a", 0, 120_000, 60_000)
    ]


@pytest.mark.parametrize(
    ("expression", "fixed"),
    [
        ("a", "a @ 60.000"),
        ("a offset 5s", "a @ 60.000 offset 5s"),
        ("a @ 7", "a @ 7.000"),
        ("rate(a[1m])", "rate(a[1m] @ 60.000)"),
        ("max_over_time(a[2m:1m])", "max_over_time(a[2m:1m] @ 60.000)"),
        ("max_over_time(rate(a[1m])[2m:1m] @ 7)", "max_over_time(rate(a[1m])[2m:1m] @ 7.000)"),
        ("sum(a) by (b) / on (b) -c", "sum by (b) (a @ 60.000) / on (b) -c @ 60.000"),
        ("topk(scalar(a), b)", "topk(scalar(a @ 60.000), b @ 60.000)"),
        ("max_over_time(vector(time())[2m:1m])", "max_over_time(vector(time())[2m:1m] @ 60.000)"),
        ("1", "1"),
    ],
)
def test_selectors_are_pinned(expression: str, fixed: str) -> None:
    found = pinned(expression, MINUTE)
    assert {text for text, _ in found} == {fixed}
    assert len(found) == 5


@pytest.mark.parametrize("expression", ["time()", "a * hour()", "timestamp(a)", "sum(minute(a))", "a +"])
def test_what_depends_on_the_time_is_not_pinned(expression: str) -> None:
    assert pinned(expression, MINUTE) == []


@pytest.mark.parametrize("expression", ["a @ start()", "a @ end() + b"])
def test_what_is_about_the_range_has_no_middle_step(case: CaseOf, expression: str) -> None:
    evaluator = Constant()
    run(case(f"eval instant at 5m {expression}\n  {{}} 1\n"), evaluator)
    assert expression not in [text for text, *_ in evaluator.ranges]


def test_strings_and_range_vectors_have_no_middle_step(case: CaseOf) -> None:
    asked: list[int] = []

    def evaluate(query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
        asked.append(query.step)
        if "a" in query.text:
            return Matrix([Row((), np.array([MINUTE]), np.array([1.0]))]), Annotations()
        return String(query.start, "x"), Annotations()

    run(case('eval instant at 0 "x"\n  expect string "x"\n'), evaluate)
    run(case("eval instant at 1m a[1m]\n  expect range vector from 1m to 1m step 1m\n  {} 1\n"), evaluate)
    assert set(asked) == {0}


def test_a_scalar_is_one_in_the_middle_step_too(case: CaseOf) -> None:
    evaluator = Constant(7.0, scalar=True)
    run(case("eval instant at 5m scalar(a)\n  7\n"), evaluator)
    assert len(evaluator.ranges) == 6


def test_the_order_is_nothing_to_a_range(case: CaseOf) -> None:
    """It has been checked at the instant."""
    evaluator = Constant()
    run(case("eval instant at 5m sort(a)\n  expect ordered\n  {} 1\n"), evaluator)
    assert len(evaluator.ranges) == 6


class WrongAtOtherTimes(Constant):
    def at(self, query: Query, time: int) -> float:
        return self.value if query.start == 300_000 or query.step else -1.0


class WrongInRanges(Constant):
    def at(self, query: Query, time: int) -> float:
        return -1.0 if query.step and query.start < time < query.end else self.value


class MatrixAlways(Constant):
    def __call__(self, query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
        value, annotations = super().__call__(query, expression, storage)
        return (Vector([]) if query.step else value), annotations


class EmptyInRanges(Constant):
    def __call__(self, query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
        value, annotations = super().__call__(query, expression, storage)
        return (Matrix([]) if query.step else value), annotations


class FailingInRanges(Constant):
    def __call__(self, query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
        if query.step:
            raise EvaluationError("no ranges here")
        return super().__call__(query, expression, storage)


@pytest.mark.parametrize(
    ("evaluator", "expected", "what"),
    [
        (Constant(2.0), "{} 1", "'a' at 300000: (): expected 1.0, got 2.0"),
        (WrongAtOtherTimes(), "{} 1", "'a @ 300.000' at -3000000: (): expected 1.0, got -1.0"),
        (WrongInRanges(), "{} 1", "'a' in a range around 300000: (): expected 1.0, got -1.0"),
        (EmptyInRanges(), "{} 1", "'a' in a range around 300000: [()] not found"),
        (EmptyInRanges(1.0, scalar=True), "1", "'a' in a range around 300000: expected one float, got []"),
        (MatrixAlways(), "{} 1", "'a' in a range around 300000: a range query gives a matrix"),
        (FailingInRanges(), "{} 1", "'a' in a range around 300000: no ranges here"),
        (Failing(), "{} 1", "'a' at 300000: it broke"),
        (Constant(), "expect fail", "'a' at 300000: expected to fail"),
        (Failing(), "expect fail msg: it works", "'a' at 300000: expected the failure 'it works'"),
        (Constant(), "expect warn\n  {} 1", "'a' at 300000: expected warn"),
        (Saying(), "expect no_warn\n  {} 1", "'a' at 300000: unexpected annotations"),
    ],
)
def test_wrong_evaluators_are_found_out(case: CaseOf, evaluator: Constant, expected: str, what: str) -> None:
    with pytest.raises(Mismatch) as caught:
        run(case(f"eval instant at 5m a\n  {expected}\n"), evaluator)
    assert str(caught.value).startswith(what)


def test_wrong_ranges_are_found_out(case: CaseOf) -> None:
    with pytest.raises(Mismatch, match=r"'a' at 0: .* expected 1\.0, got -1\.0"):
        run(case("eval range from 0 to 2m step 1m a\n  {} 1 1 1\n"), WrongInRanges())


def test_expected_failures_pass(case: CaseOf) -> None:
    evaluator = Failing()
    run(case("eval instant at 5m a\n  expect fail regex: br.ke\n"), evaluator)
    assert len(evaluator.instants) == 6
    assert not evaluator.ranges
    run(case("eval range from 0 to 1m step 1m a\n  expect fail\n"), evaluator)


def test_a_text_that_is_no_query_may_be_expected_to_fail(case: CaseOf) -> None:
    run(case("eval instant at 5m a +\n  expect fail regex: parse error\n"), Constant())


def test_other_exceptions_are_the_evaluators_own(case: CaseOf) -> None:
    def evaluate(query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(case("eval instant at 5m a\n  expect fail\n"), evaluate)


def test_the_evaluator_finds_what_is_loaded(case: CaseOf) -> None:
    def evaluate(query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
        found = storage.select([Matcher("=", "__name__", "a")], query.start, query.end)
        return Matrix([Row(each.labels, each.times, each.values) for each in found]), Annotations()

    run(case("load 1m\n  a 1 2 3\n  b 1\n\neval range from 1m to 2m step 1m a\n  a 2 3\n"), evaluate)


def test_loads_that_contradict_each_other_are_an_error_of_the_file(case: CaseOf) -> None:
    with pytest.raises(ScriptError, match=r"some\.test:7: what is loaded before: .* not 2\.0"):
        run(case("load 1m\n  a 1\n\nload 1m\n  a 2\n\neval instant at 0 a\n"), Constant())
