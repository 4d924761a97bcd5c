"""Runs the evaluations of a promqltest file, each also pinned to its time and as a part of a range."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from app.engine.histogram.model import FloatHistogram
from app.engine.model import (
    Annotations,
    EvaluationError,
    Limits,
    Matrix,
    Query,
    Sample,
    Scalar,
    Storage,
    String,
    Value,
    Vector,
)
from app.engine.prepare import AT_UNSAFE
from app.engine.promql import ast
from app.engine.promql.ast import Expr
from app.engine.promql.errors import ParseError
from app.engine.promql.features import ALL_FEATURES
from app.engine.promql.parser import parse
from app.engine.promql.printer import text
from tests.promqltest.compare import Mismatch, check_annotations, check_failure, check_value, values_of
from tests.promqltest.script import Clear, Eval, Load, ScriptError, commands
from tests.promqltest.storage import MemoryStorage

SAMPLES = 10_000
_MINUTE = 60_000
_OF_RANGE = re.compile(r"(start|end|step|range)\(\)")
"""Functions that mean something else in a range than at an instant."""


class Evaluate(Protocol):
    """An evaluator under test."""

    def __call__(self, query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
        """
        :param expression: the runner gives texts, in which annotations have their positions.
        :raises ParseError: the text is not PromQL.
        :raises EvaluationError: it cannot be answered.
        """
        ...


class Case(msgspec.Struct, frozen=True):
    """One evaluation, with all that is loaded before it."""

    path: Path
    loads: tuple[Load, ...]
    eval: Eval

    @property
    def name(self) -> str:
        return f"{self.path.stem}:{self.eval.line}"

    @property
    def of_histograms(self) -> bool:
        """Whether native histograms have a part in it."""
        points = [point for row in self.eval.rows.values() for point in row]
        loaded = [point for load in self.loads for row in load.series.values() for point in row]
        return any(load.with_nhcb for load in self.loads) or any(
            isinstance(point.value, FloatHistogram) for point in (*points, *loaded)
        )


def cases(path: Path) -> Iterator[Case]:
    """The evaluations of a file, in order.

    :raises ScriptError: the file is not of the format.
    """
    loads: tuple[Load, ...] = ()
    for command in commands(path):
        if isinstance(command, Clear):
            loads = ()
        elif isinstance(command, Load):
            loads = (*loads, command)
        else:
            yield Case(path, loads, command)


def loaded(case: Case) -> MemoryStorage:
    """What the case queries.

    :raises ScriptError: loads of its file contradict each other.
    """
    storage = MemoryStorage()
    try:
        for load in case.loads:
            storage.load(load)
    except ValueError as error:
        raise ScriptError(f"{case.path}:{case.eval.line}: what is loaded before: {error}") from None
    return storage


def run(case: Case, evaluate: Evaluate) -> None:
    """Evaluate as written, then the other ways that must give the same.

    :raises Mismatch: a result is not the expected one.
    """
    storage = loaded(case)
    wanted = case.eval
    if wanted.step:
        _checked(
            wanted, wanted.expr, _query(wanted.expr, wanted.start, wanted.end, wanted.step), storage, evaluate
        )
        return
    queries = [(wanted.expr, wanted.start), *pinned(wanted.expr, wanted.start)]
    for expression, at in queries:
        value = _checked(wanted, expression, _query(expression, at, at, 0), storage, evaluate)
        if value is not None and wanted.range is None and not isinstance(value, String):
            _check_in_range(wanted, expression, at, storage, evaluate)


def _query(expression: str, start: int, end: int, step: int) -> Query:
    return Query(expression, start, end, step, delayed_name_removal=True, limits=Limits(SAMPLES))


def _checked(
    wanted: Eval, expression: str, query: Query, storage: Storage, evaluate: Evaluate
) -> Value | None:
    """The result; None where a failure was expected and came."""
    failing = wanted.expected("fail")
    try:
        try:
            value, annotations = evaluate(query, expression, storage)
        except (EvaluationError, ParseError) as error:
            if not failing:
                raise Mismatch(str(error)) from None
            check_failure(failing, error)
            return None
        if failing:
            raise Mismatch("expected to fail")
        check_annotations(wanted, annotations, expression)
        check_value(wanted, value)
    except Mismatch as error:
        raise Mismatch(f"{expression!r} at {query.start}: {error}") from None
    return value


def pinned(expression: str, at: int) -> list[tuple[str, int]]:
    """The query with `@` on every selector, at five other times; none where the time itself is part of it."""
    try:
        expr = parse(expression, ALL_FEATURES)
    except ParseError:
        return []
    if _time_matters(expr):
        return []
    fixed = text(_with_at(expr, at))
    others = [-10 * at, 0, at // 5, at, 10 * at] if at else [-1000, 0, 1000]
    return [(fixed, other) for other in others]


def _time_matters(node: Expr) -> bool:
    """What is below a subquery has that one's time, which is pinned."""
    if isinstance(node, ast.SubqueryExpr):
        return False
    if isinstance(node, ast.Call) and node.func in AT_UNSAFE:
        return True
    return any(_time_matters(child) for child in ast.children(node))


def _with_at(node: Expr, at: int) -> Expr:
    """Selectors below a subquery that has a time of its own are left alone."""
    changes: dict[str, object] = {}
    if isinstance(node, ast.SubqueryExpr | ast.VectorSelector):
        if isinstance(node, ast.SubqueryExpr) and node.at is not None:
            return node
        if node.at is None:
            changes["at"] = at
            if isinstance(node, ast.SubqueryExpr):
                return msgspec.structs.replace(node, **changes)
    for field in node.__struct_fields__:
        value = getattr(node, field)
        if isinstance(value, ast.Expr):
            changes[field] = _with_at(value, at)
        elif field == "args":
            changes[field] = tuple(_with_at(each, at) for each in value)
    return msgspec.structs.replace(node, **changes) if changes else node


def _check_in_range(wanted: Eval, expression: str, at: int, storage: Storage, evaluate: Evaluate) -> None:
    """The middle of three steps gives what the instant does; in a range nothing is ordered but by labels."""
    if _OF_RANGE.search(expression):
        return
    query = _query(expression, at - _MINUTE, at + _MINUTE, _MINUTE)
    unordered = [each for each in wanted.expects if each.kind != "ordered"]
    try:
        try:
            value, _ = evaluate(query, expression, storage)
        except (EvaluationError, ParseError) as error:
            raise Mismatch(str(error)) from None
        check_value(msgspec.structs.replace(wanted, expects=unordered), _middle(wanted, value, at))
    except Mismatch as error:
        raise Mismatch(f"{expression!r} in a range around {at}: {error}") from None


def _middle(wanted: Eval, value: Value, at: int) -> Value:
    if not isinstance(value, Matrix):
        raise Mismatch(f"a range query gives a matrix, not {value}")
    labels = [row.labels for row in value.rows]
    if labels != sorted(labels):
        raise Mismatch(f"not sorted: {labels}")
    samples = [Sample(row.labels, values[at], at) for row in value.rows if at in (values := values_of(row))]
    if wanted.scalar is None:
        return Vector(samples)
    if len(samples) != 1 or not isinstance(samples[0].value, float):
        raise Mismatch(f"expected one float, got {samples}")
    return Scalar(at, samples[0].value)
