"""A parsed query placed in time: its constants folded, its selectors with what each has to fetch."""

import math
from collections.abc import Sequence

import msgspec

from app.engine.model import METRIC_NAME, EvaluationError, Hints, Query, WrongKind
from app.engine.promql import ast
from app.engine.promql.ast import Expr, Matcher, ValueType, VectorSelector
from app.engine.promql.durations import DurationError, resolved
from app.engine.promql.typecheck import matches, type_of

AT_UNSAFE = frozenset(
    "days_in_month day_of_month day_of_week day_of_year end hour minute month year predict_linear range "
    "start step time timestamp".split()
)
"""Functions whose result may change with the evaluation time although their arguments do not."""


class Selection(msgspec.Struct, frozen=True):
    """What one selector needs of the stores.

    :param node: where in the query it stands.
    :param hints: times in milliseconds; samples outside `[start, end]` are not needed.
    """

    node: VectorSelector
    matchers: tuple[Matcher, ...]
    hints: Hints


class Prepared(msgspec.Struct, frozen=True):
    """:param selections: one for each different selector."""

    expr: Expr
    query: Query
    selections: Sequence[Selection]


def prepared(expr: Expr, query: Query) -> Prepared:
    """Fold what the query's own times decide, and find what it selects.

    :raises EvaluationError: a duration expression has no usable value, or the result has no range.
    """
    kind = type_of(expr)
    if query.step and kind not in (ValueType.SCALAR, ValueType.VECTOR):
        raise WrongKind(
            f'invalid expression type "{kind.documented}" for range query, must be Scalar or instant Vector'
        )
    try:
        expr = resolved(expr, query.step, query.end - query.start)
    except DurationError as error:
        raise EvaluationError(str(error)) from None
    expr = _folded(expr, query)
    finding = _Finding(query)
    finding.visit(expr, ())
    return Prepared(expr, query, tuple(finding.found.values()))


def restricted(node: Expr, enforced: tuple[Matcher, ...], *, beside: bool = False) -> Expr:
    """With matchers on every selector, in the place of others on the same labels.

    The one that the metric's name stands for stays the last.

    :param beside: others stay, and have to match too.
    """
    changes: dict[str, object] = {}
    if isinstance(node, VectorSelector):
        names = set() if beside else {matcher.name for matcher in enforced}
        kept = (matcher for matcher in node.matchers if matcher.name not in names)
        return msgspec.structs.replace(node, matchers=(*enforced, *kept))
    if isinstance(node, ast.Call) and node.func == "info" and len(node.args) == 1:
        node = msgspec.structs.replace(node, args=(*node.args, info_selector(node)))
    for field in node.__struct_fields__:
        value = getattr(node, field)
        if isinstance(value, ast.Expr):
            changes[field] = restricted(value, enforced, beside=beside)
        elif field == "args":
            changes[field] = tuple(restricted(each, enforced, beside=beside) for each in value)
    return msgspec.structs.replace(node, **changes) if changes else node


def _folded(node: Expr, query: Query) -> Expr:
    """`start()`, `end()`, `range()`, `step()` become numbers, `@ start()` and `@ end()` times."""
    if isinstance(node, ast.Call) and node.func in ("start", "end", "range", "step"):
        milliseconds = {
            "start": query.start,
            "end": query.end,
            "range": query.end - query.start,
            "step": query.step if query.start != query.end else 0,
        }[node.func]
        return ast.NumberLiteral(milliseconds / 1000, span=node.span)
    changes: dict[str, object] = {}
    for field in node.__struct_fields__:
        value = getattr(node, field)
        if isinstance(value, ast.Expr):
            changes[field] = _folded(value, query)
        elif field == "args":
            changes[field] = tuple(_folded(each, query) for each in value)
        elif field == "at_edge" and value:
            changes.update(at=query.start if value == "start" else query.end, at_edge="")
    return msgspec.structs.replace(node, **changes) if changes else node


def invariant(node: Expr) -> bool:
    """Whether its value is the same at every step."""
    match node:
        case VectorSelector():
            return node.at is not None
        case ast.MatrixSelector():
            return node.selector.at is not None
        case ast.SubqueryExpr():
            return node.at is not None
        case ast.Call() if node.func == "timestamp" and isinstance(
            ast.unwrapped(node.args[0]), VectorSelector
        ):
            return invariant(ast.unwrapped(node.args[0]))
        case ast.Call() if node.func in AT_UNSAFE:
            return False
        case ast.AggregateExpr():
            return invariant(node.expr) and (node.param is None or invariant(node.param))
        case _:
            return all(invariant(child) for child in ast.children(node))


class _Finding:
    """Mutable: the selections found so far."""

    def __init__(self, query: Query) -> None:
        self.found: dict[VectorSelector, Selection] = {}
        self._query = query

    def visit(self, node: Expr, path: tuple[Expr, ...], range_: int = 0) -> None:
        if isinstance(node, VectorSelector):
            self._add(node, node.matchers, path, range_)
        elif isinstance(node, ast.MatrixSelector):
            self.visit(node.selector, (*path, node), node.range)
        elif isinstance(node, ast.Call) and node.func == "info":
            self.visit(node.args[0], (*path, node))
            self._info(node, path)
        else:
            for child in ast.children(node):
                self.visit(child, (*path, node))

    def _add(
        self, node: VectorSelector, matchers: tuple[Matcher, ...], path: tuple[Expr, ...], range_: int
    ) -> None:
        start, end = times(node, path, range_, self._query)
        func, grouping, by = _surroundings(path)
        hints = Hints(start, end, self._query.step, range_, func, grouping, by)
        self.found[node] = Selection(node, matchers, hints)

    def _info(self, node: ast.Call, path: tuple[Expr, ...]) -> None:
        """Info series are wanted as of the time at which the first argument's first selector is."""
        selector = info_selector(node)
        matchers = info_matchers(selector.matchers)
        start, end = times(info_placed(node, selector), path, 0, self._query)
        hints = Hints(start, end, self._query.step, func="info")
        self.found[selector] = Selection(selector, matchers, hints)


def info_selector(node: ast.Call) -> VectorSelector:
    """The second argument of `info`, or what stands for it where there is none."""
    if len(node.args) > 1:
        selector = node.args[1]
        assert isinstance(selector, VectorSelector)
        return selector
    return VectorSelector(matchers=(Matcher("=", METRIC_NAME, "target_info"),), span=node.span)


def info_placed(node: ast.Call, selector: VectorSelector) -> VectorSelector:
    """The info selector at the time at which the first argument's first selector is evaluated.

    Offsets of subqueries around that selector add up until an `@` settles the time.
    """
    anchor = first_selector(node.args[0], ())
    if anchor is None:
        return selector
    at, offset = anchor[0].at, anchor[0].offset
    for above in reversed(anchor[1]):
        if at is None and isinstance(above, ast.SubqueryExpr):
            at, offset = above.at, offset + above.offset
    return msgspec.structs.replace(selector, at=at, offset=offset)


def info_matchers(matchers: Sequence[Matcher]) -> tuple[Matcher, ...]:
    """With a name: `target_info` unless the selector says which, any ``…_info`` if it only says which not."""
    names = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
    if not names:
        return (*matchers, Matcher("=", METRIC_NAME, "target_info"))
    if any(matcher.op in ("=", "=~") for matcher in names):
        return tuple(matchers)
    return (*matchers, Matcher("=~", METRIC_NAME, ".+_info"))


def first_selector(node: Expr, path: tuple[Expr, ...]) -> tuple[VectorSelector, tuple[Expr, ...]] | None:
    """The first selector below a node, and the nodes above it."""
    if isinstance(node, VectorSelector):
        return node, path
    for child in ast.children(node):
        if (found := first_selector(child, (*path, node))) is not None:
            return found
    return None


def times(node: VectorSelector, path: Sequence[Expr], range_: int, query: Query) -> tuple[int, int]:
    """The first and last millisecond of which a selector may need a sample."""
    start, end = query.start, query.end
    if query.step:
        end = start + (end - start) // query.step * query.step
    offset, ranges = 0, 0
    for above in path:
        if isinstance(above, ast.SubqueryExpr):
            offset, ranges = offset + above.offset, ranges + above.range
            if above.at is not None:
                start = end = above.at
                offset, ranges = above.offset, above.range
    if node.at is not None:
        start = end = node.at
    else:
        start, end = start - offset - ranges, end - offset
    start -= (range_ or query.lookback) - (0 if query.closed_windows else 1)
    if range_ and (node.anchored or node.smoothed):
        start -= query.lookback
    if node.smoothed:
        end += query.lookback
    return start - node.offset, end - node.offset


def _surroundings(path: Sequence[Expr]) -> tuple[str, tuple[str, ...], bool]:
    """The function or aggregation nearest above, and the grouping if that is right above."""
    func = ""
    for above in reversed(path):
        if isinstance(above, ast.AggregateExpr | ast.Call):
            func = above.op if isinstance(above, ast.AggregateExpr) else above.func
            break
        if isinstance(above, ast.BinaryExpr):
            break
    if path and isinstance(path[-1], ast.AggregateExpr):
        return func, path[-1].grouping, not path[-1].without
    return func, (), False


def subquery_times(node: ast.SubqueryExpr, time: int, query: Query) -> range:
    """The instants at which a subquery's expression is evaluated for one step, milliseconds."""
    end = (time if node.at is None else node.at) - node.offset
    step = node.step or query.subquery_step
    begin = end - node.range
    start = math.trunc(begin / step) * step
    if start < begin or (start == begin and not query.closed_windows):
        start += step
    return range(start, end + 1, step)


def selects(matchers: Sequence[Matcher], labels: dict[str, str]) -> bool:
    """Whether a series is selected."""
    return all(matches(matcher, labels.get(matcher.name, "")) for matcher in matchers)
