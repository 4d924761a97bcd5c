"""The reference evaluator, and how a whole query goes through it."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from app.engine.budget import Budget
from app.engine.histogram.model import FloatHistogram
from app.engine.measuring import Measuring
from app.engine.model import (
    Annotations,
    Labels,
    Matrix,
    Query,
    Row,
    Sample,
    Scalar,
    Series,
    Storage,
    String,
    Value,
    Vector,
)
from app.engine.prepare import Prepared, prepared
from app.engine.promql import ast
from app.engine.promql.ast import Expr, ValueType, VectorSelector
from app.engine.promql.features import NO_FEATURES, Features
from app.engine.promql.parser import parse
from app.engine.promql.typecheck import type_of
from app.engine.reference.elements import Window
from app.engine.reference.evaluator import Evaluator
from app.engine.reference.holding import Holding
from app.engine.reference.measuring import MeasuringEvaluator, analysis

__all__ = ["Number", "analysis", "evaluate", "run"]

Number = float | FloatHistogram


def evaluate(
    query: Query, expression: str | Expr, storage: Storage, features: Features = NO_FEATURES
) -> tuple[Value, Annotations]:
    """A whole query over series that are at hand.

    :raises ParseError: the text is not PromQL.
    :raises EvaluationError: it cannot be answered.
    """
    expr = parse(expression, features) if isinstance(expression, str) else expression
    placed = prepared(expr, query)
    series = {
        selection.node: storage.select(selection.matchers, selection.hints.start, selection.hints.end)
        for selection in placed.selections
    }
    annotations = Annotations()
    budget = Budget(samples=query.limits.samples)
    return run(placed, series, annotations, lambda: None, budget), annotations


def run(
    placed: Prepared,
    series: Mapping[VectorSelector, Sequence[Series]],
    annotations: Annotations,
    check: Callable[[], None],
    budget: Budget,
    measuring: Measuring | None = None,
) -> Value:
    """Evaluate a query whose series have been fetched.

    :param check: called often; raises where the query is to end.
    :param budget: of the query; what it holds beside the series counts against it.
    :param measuring: added to; None: nothing is measured.
    :raises EvaluationError: it cannot be answered.
    """
    query, expr = placed.query, placed.expr
    kind = type_of(expr)
    holding = Holding(budget, check)
    evaluator = (
        Evaluator(placed, series, annotations, holding)
        if measuring is None
        else MeasuringEvaluator(placed, series, annotations, holding, measuring)
    )
    if query.step:
        return _range(evaluator, holding, expr, kind, query)
    if kind is ValueType.STRING:
        literal = ast.unwrapped(expr)
        assert isinstance(literal, ast.StringLiteral)
        return String(query.start, literal.value)
    if kind is ValueType.SCALAR:
        return Scalar(query.start, evaluator.scalar(expr, query.start))
    if kind is ValueType.MATRIX:
        return _raw(evaluator.windows(expr, query.start))
    elements = evaluator.cleaned(evaluator.vector(expr, query.start))
    holding.result(elements)
    return Vector([Sample(each.labels, each.value, query.start) for each in elements])


def _range(evaluator: Evaluator, holding: Holding, expr: Expr, kind: ValueType, query: Query) -> Matrix:
    found: dict[Labels, list[tuple[int, Number]]] = {}
    if kind is ValueType.SCALAR:
        found[()] = []
    for time in range(query.start, query.end + 1, query.step):
        if kind is ValueType.SCALAR:
            found[()].append((time, evaluator.scalar(expr, time)))
            holding.numbers(1)
            holding.step_ends()
            continue
        elements = evaluator.cleaned(evaluator.vector(expr, time))
        holding.result(elements)
        for each in holding.polled(elements):
            points = found.get(each.labels)
            if points is None:
                holding.labels(each.labels)
                points = found[each.labels] = []
            points.append((time, each.value))
        holding.step_ends()
    return Matrix([_row(labels, points) for labels, points in sorted(found.items())])


def _raw(windows: list[Window]) -> Matrix:
    rows = [
        _row(window.labels, sorted((*window.floats, *window.histograms), key=lambda point: point[0]))
        for window in windows
    ]
    return Matrix(sorted(rows, key=lambda row: row.labels))


def _row(labels: Labels, points: Sequence[tuple[int, Number]]) -> Row:
    histograms = {
        place: value for place, (_, value) in enumerate(points) if isinstance(value, FloatHistogram)
    }
    values = [0.0 if isinstance(value, FloatHistogram) else value for _, value in points]
    times = np.array([time for time, _ in points], np.int64)
    return Row(labels, times, np.array(values, np.float64), histograms)
