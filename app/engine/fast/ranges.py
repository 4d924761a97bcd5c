"""Selectors, subqueries and the functions of range vectors."""

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.fast import aggregation, native
from app.engine.fast.context import Context
from app.engine.fast.grid import SAME_LABELS, Grid, Numbers, Steps, Times, empty
from app.engine.fast.labels import METADATA, LabelTable, from_labels
from app.engine.fast.natives import NativeGrid, Natives, are_native
from app.engine.fast.notes import go_g
from app.engine.fast.plan import Node
from app.engine.fast.served import WINDOWS
from app.engine.fast.windowing import Chunks, Points, Source, Window, rows
from app.engine.kernels import over_time
from app.engine.model import EvaluationError, Labels, Query
from app.engine.promql import ast
from app.engine.promql.ast import AggregateExpr, Call, MatrixSelector, Span, SubqueryExpr, VectorSelector
from app.engine.promql.quoting import quoted

if TYPE_CHECKING:
    from app.engine.fast.evaluator import Evaluator

_KEEP_NAME = frozenset({"first_over_time", "last_over_time"})
_COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")


def reference_times(query: Query, node: VectorSelector | SubqueryExpr, steps: Steps) -> Times:
    """(steps,) int64: where a selector looks from, after ``@`` and offset."""
    at = node.at
    if node.at_edge:
        at = query.start if node.at_edge == "start" else query.end
    if at is None:
        return steps.times - node.offset
    return np.full(steps.count, at - node.offset, np.int64)


def selected(context: Context, node: Node, steps: Steps) -> Grid | NativeGrid:
    """An instant selector."""
    source, window = _instant(context, node, steps, over_time.INSTANT)
    if isinstance(source, Natives):
        return native.rows(context, source, window, node.expr.span, steps).compact(context)
    return rows(context, source, window, steps).compact(context)


def sample_times(context: Context, node: Node, steps: Steps) -> Grid:
    """Of an instant selector the times of the samples, in seconds."""
    source, window = _instant(context, node, steps, over_time.TIMESTAMP)
    assert not isinstance(source, Natives)
    return rows(context, source, window, steps).compact(context)


def _of_table(context: Context, number: int, function: int) -> Source | Natives:
    """The series of a selector, as what the function reads."""
    table = context.tables[number]
    if function in native.WINDOWS and are_native(table):
        return Natives(context, table)
    return Chunks(context, table, function)


def _instant(context: Context, node: Node, steps: Steps, function: int) -> tuple[Source | Natives, Window]:
    selector = node.expr
    assert isinstance(selector, VectorSelector)
    query = context.query
    ends = reference_times(query, selector, steps)
    none = np.zeros(steps.count)
    window = Window(function, query.lookback, query.closed_windows, ends, steps.times, none)
    return _of_table(context, node.selector, function), window


def is_direct(node: Node) -> bool:
    """Whether rows come straight from a kernel, so that they can be aggregated as they come."""
    if isinstance(node.expr, VectorSelector):
        return True
    return isinstance(node.expr, Call) and node.expr.func in WINDOWS and node.expr.func != "absent_over_time"


def aggregated(
    evaluator: "Evaluator", context: Context, expr: AggregateExpr, node: Node, steps: Steps
) -> Grid | NativeGrid:
    """An aggregation of what `is_direct` takes."""
    if isinstance(node.expr, VectorSelector):
        source, window = _instant(context, node, steps, over_time.INSTANT)
        evaluator.observe(node, source, window)
        labels, span = source.labels, node.expr.span
    else:
        assert isinstance(node.expr, Call)
        source, window = _called(evaluator, context, node, node.expr, steps)
        labels, span = _named(node.expr, source.labels), _range_span(node.expr)
    grid: Grid | NativeGrid
    if isinstance(source, Natives):
        grid, filled = native.aggregated_source(context, expr, source, window, labels, span, steps)
    else:
        grid, filled = aggregation.of_source(context, expr, source, window, labels, steps)
        if isinstance(node.expr, Call):
            _remark(context, node.expr, source, filled)
    _refuse_duplicates(labels, source.labels, filled)
    return grid


def called(
    evaluator: "Evaluator", context: Context, node: Node, call: Call, steps: Steps
) -> Grid | NativeGrid:
    """A function of a range vector."""
    source, window = _called(evaluator, context, node, call, steps)
    if isinstance(source, Natives):
        natives = native.rows(context, source, window, _range_span(call), steps)
        labels = _named(call, source.labels)
        _refuse_duplicates(labels, source.labels, natives.filled())
        return msgspec.structs.replace(natives, labels=labels).compact(context)
    grid = rows(context, source, window, steps)
    if call.func == "absent_over_time":
        return absent(context, call.args[0], grid)
    filled = grid.filled()
    labels = _named(call, source.labels)
    _remark(context, call, source, filled)
    _refuse_duplicates(labels, source.labels, filled)
    return grid.with_labels(labels).compact(context)


def _called(
    evaluator: "Evaluator", context: Context, node: Node, call: Call, steps: Steps
) -> tuple[Source | Natives, Window]:
    """The series and what to do with them."""
    place = next(
        place
        for place, child in enumerate(node.children)
        if isinstance(child.expr, MatrixSelector | SubqueryExpr)
    )
    ranged = node.children[place]
    parameter = Numbers(np.zeros(steps.count))
    for other in node.children[:place] + node.children[place + 1 :]:
        parameter = evaluator.numbers(other, steps)
    source: Source | Natives
    if isinstance(ranged.expr, MatrixSelector):
        selector, length = ranged.expr.selector, ranged.expr.range
        source = _of_table(context, ranged.children[0].selector, WINDOWS[call.func])
        ends = reference_times(context.query, selector, steps)
    else:
        assert isinstance(ranged.expr, SubqueryExpr)
        length = ranged.expr.range
        ends = reference_times(context.query, ranged.expr, steps)
        source = Points(context, _subquery(evaluator, context, ranged, ranged.expr, ends))
    window = Window(
        WINDOWS[call.func], length, context.query.closed_windows, ends, steps.times, parameter.values
    )
    if call.func == "quantile_over_time":
        assert not isinstance(source, Natives)
        _check_quantiles(context, call, source, window, steps)
    evaluator.observe(node, source, window)
    return source, window


def _subquery(evaluator: "Evaluator", context: Context, node: Node, expr: SubqueryExpr, ends: Times) -> Grid:
    """The inner expression at multiples of the subquery's step within all the windows."""
    step = expr.step or context.query.subquery_step
    before = int(ends[0]) - expr.range
    start = step * int(before / step)
    if start < before or (start == before and not context.query.closed_windows):
        start += step
    count = max(0, (int(ends[-1]) - start) // step + 1)
    context.budget.require(8 * count)
    if count == 0:
        return empty(from_labels(context.texts, []), Steps(start, step, 0))
    return evaluator.vector(node.children[0], Steps(start, step, count))


def _check_quantiles(context: Context, call: Call, source: Source, window: Window, steps: Steps) -> None:
    """Remark on quantiles outside of 0 to 1, at steps at which there is anything to take one of."""
    wrong = ~((window.parameter >= 0) & (window.parameter <= 1))
    if not wrong.any():
        return
    counting = Window(
        over_time.COUNT, window.length, window.closed, window.ends, window.moments, window.parameter
    )
    some = rows(context, source, counting, steps).present.any(axis=0)
    for value in dict.fromkeys(window.parameter[wrong & some].tolist()):
        text = f"quantile value should be between 0 and 1, got {go_g(value)}"
        context.annotations.warn(text, ast.unwrapped(call.args[0]).span)


def _named(call: Call, labels: LabelTable) -> LabelTable:
    return labels if call.func in _KEEP_NAME else labels.without(METADATA)


def _refuse_duplicates(labels: LabelTable, before: LabelTable, filled: NDArray[np.bool_]) -> None:
    """
    :raises EvaluationError: series with values differ only in their name, which is gone.
    """
    if labels is before or before.constant(METADATA):
        return
    kept = labels.take(np.flatnonzero(filled))
    if kept.groups()[1] < len(kept):
        raise EvaluationError(SAME_LABELS)


def _remark(context: Context, call: Call, source: Source, filled: NDArray[np.bool_]) -> None:
    """Remark on names that a counter does not have."""
    if call.func not in ("rate", "increase"):
        return
    names = source.labels.column("__name__")[filled]
    span = _range_span(call)
    for number in dict.fromkeys(names[np.sort(np.unique(names, return_index=True)[1])].tolist()):
        name = context.texts.text(number)
        if name and not name.endswith(_COUNTER_ENDINGS):
            context.annotations.info(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
                + quoted(name),
                span,
            )


def _range_span(call: Call) -> Span:
    argument = ast.unwrapped(call.args[0])
    return argument.span if isinstance(argument, MatrixSelector) else Span()


def absent(context: Context, argument: ast.Expr, grid: Grid | NativeGrid) -> Grid:
    """1 at the steps at which no row has a value, under the labels that the selector asked for."""
    argument = ast.unwrapped(argument)
    missing = ~np.asarray(grid.present.any(axis=0))[None, :]
    labels = from_labels(context.texts, [_exact_labels(argument)])
    return Grid(labels, np.ones(missing.shape), missing, grid.steps).compact(context)


def _exact_labels(argument: ast.Expr) -> Labels:
    """Of matchers by equality, unless a name has another matcher too."""
    selector = argument.selector if isinstance(argument, MatrixSelector) else argument
    found: dict[str, str] = {}
    if not isinstance(selector, VectorSelector):
        return ()
    seen: set[str] = set()
    for matcher in selector.matchers:
        if matcher.name == "__name__":
            continue
        if matcher.op == "=" and matcher.name not in seen:
            found[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            found.pop(matcher.name, None)
    return tuple(sorted((name, value) for name, value in found.items() if value))
