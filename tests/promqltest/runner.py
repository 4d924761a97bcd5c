"""Runs the evaluations of a promqltest file, each also pinned to its time and as a part of a range."""

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
from tests.promqltest.script import Clear, Eval, Load, commands
from tests.promqltest.storage import MemoryStorage

SAMPLES = 10_000
_MINUTE = 60_000


class Evaluate(Protocol):
    """An evaluator under test."""

    def __call__(self, query: Query, expression: str, storage: MemoryStorage) -> tuple[Value, Annotations]:
        """
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
    """The evaluations of a file, in order."""
    loads: tuple[Load, ...] = ()
    for command in commands(path):
        if isinstance(command, Clear):
            loads = ()
        elif isinstance(command, Load):
            loads = (*loads, command)
        else:
            yield Case(path, loads, command)


def run(case: Case, evaluate: Evaluate) -> None:
    """Evaluate as written, then the other ways that must give the same.

    :raises Mismatch: a result is not the expected one.
    """
    storage = MemoryStorage()
    for load in case.loads:
        storage.load(load)
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
    wanted: Eval, expression: str, query: Query, storage: MemoryStorage, evaluate: Evaluate
) -> Value | None:
    failing = wanted.expected("fail")
    try:
        value, annotations = evaluate(query, expression, storage)
    except (EvaluationError, ParseError) as error:
        if not failing:
            raise Mismatch(f"{expression!r} at {query.start}: {error}") from None
        check_failure(failing, error)
        return None
    if failing:
        raise Mismatch(f"{expression!r} at {query.start}: expected to fail")
    try:
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


def _check_in_range(
    wanted: Eval, expression: str, at: int, storage: MemoryStorage, evaluate: Evaluate
) -> None:
    """The middle of three steps gives what the instant does."""
    if any(word in expression for word in ("start()", "end()", "step()", "range()")):
        return
    query = _query(expression, at - _MINUTE, at + _MINUTE, _MINUTE)
    value, _ = evaluate(query, expression, storage)
    assert isinstance(value, Matrix)
    samples = [Sample(row.labels, values[at], at) for row in value.rows if at in (values := values_of(row))]
    middle: Value = Vector(samples)
    if wanted.scalar is not None:
        middle = Scalar(at, float(samples[0].value))  # type: ignore[arg-type]
    unordered = msgspec.structs.replace(
        wanted, expects=[each for each in wanted.expects if each.kind != "ordered"]
    )
    try:
        check_value(unordered, middle)
    except Mismatch as error:
        raise Mismatch(f"{expression!r} in a range around {at}: {error}") from None
