"""Which way an expression is evaluated, and which series it needs."""

from collections.abc import Iterator

import msgspec

from app.engine.fast import served
from app.engine.model import Hints, Query
from app.engine.promql import ast
from app.engine.promql.ast import Expr, VectorSelector
from app.engine.promql.durations import resolved
from app.engine.promql.printer import text

FAST = "fast"
REFERENCE = "reference"


class Node(msgspec.Struct, frozen=True):
    """A node of the expression; arguments come without the parentheses around them.

    :param path: `fast` or `reference`, of this node alone.
    :param why: a reason for the reference path.
    :param children: in the order of `ast.children`.
    :param once: whether one evaluation serves for all steps.
    :param selector: its place among the selectors of the query.
    """

    expr: Expr
    path: str
    why: str = ""
    children: tuple["Node", ...] = ()
    once: bool = False
    selector: int = -1

    def walk(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.walk()


class Plan(msgspec.Struct, frozen=True):
    """:param wanted: the selectors in the order of their numbers, with what their surroundings tell."""

    query: Query
    root: Node
    wanted: tuple[tuple[VectorSelector, Hints], ...]

    @property
    def path(self) -> str:
        """Fast only if all nodes are."""
        return FAST if not self.why else REFERENCE

    @property
    def why(self) -> str:
        """What keeps the query from the fast path; empty: nothing does."""
        return next((node.why for node in self.root.walk() if node.path == REFERENCE), "")


class _Around(msgspec.Struct, frozen=True):
    """What a node inherits.

    :param low: the first time of evaluation, milliseconds; `high` the last.
    :param step: milliseconds between them.
    :param func: the closest function or aggregation above.
    """

    low: int
    high: int
    step: int
    func: str = ""
    grouping: tuple[str, ...] = ()
    by: bool = False
    range: int = 0


class _Planning:
    """Mutable: the selectors found so far."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.wanted: list[tuple[VectorSelector, Hints]] = []

    def visit(self, expr: Expr, around: _Around) -> tuple[Node, bool, bool]:
        """The node, whether it is the same at all steps, and whether evaluating it once pays.

        The last two follow Prometheus (promql/engine.go, preprocessExprHelper), as they decide about results.
        """
        why = served.objection(expr)
        node = Node(expr, REFERENCE if why else FAST, why)
        match expr:
            case VectorSelector():
                return self._selector(node, expr, around)
            case ast.MatrixSelector():
                child, same, _ = self.visit(expr.selector, msgspec.structs.replace(around, range=expr.range))
                return _with(node, child), same, False
            case ast.SubqueryExpr():
                return self._subquery(node, expr, around)
            case ast.AggregateExpr():
                return self._aggregate(node, expr, around)
            case ast.BinaryExpr():
                return self._binary(node, expr, around)
            case ast.Call():
                return self._call(node, expr, around)
            case ast.ParenExpr() | ast.UnaryExpr():
                child, same, wrap = self.visit(expr.expr, _apart(around))
                return _with(node, child), same, wrap
            case _:
                return node, True, False

    def _selector(self, node: Node, expr: VectorSelector, around: _Around) -> tuple[Node, bool, bool]:
        low, high = self._fixed(expr.at, expr.at_edge, around)
        back = around.range or self.query.lookback
        open_edge = 0 if self.query.closed_windows else 1
        hints = Hints(
            start=low - expr.offset - back + open_edge,
            end=high - expr.offset,
            step=around.step,
            range=around.range,
            func=around.func,
            grouping=around.grouping,
            by=around.by,
        )
        self.wanted.append((expr, hints))
        fixed = expr.at is not None or bool(expr.at_edge)
        return msgspec.structs.replace(node, selector=len(self.wanted) - 1), fixed, fixed

    def _fixed(self, at: int | None, edge: str, around: _Around) -> tuple[int, int]:
        """First and last time that a modifier leaves of an evaluation."""
        if edge:
            at = self.query.start if edge == "start" else self.query.end
        return (around.low, around.high) if at is None else (at, at)

    def _subquery(self, node: Node, expr: ast.SubqueryExpr, around: _Around) -> tuple[Node, bool, bool]:
        low, high = self._fixed(expr.at, expr.at_edge, around)
        inside = msgspec.structs.replace(
            _apart(around),
            low=low - expr.offset - expr.range,
            high=high - expr.offset,
            step=expr.step or self.query.subquery_step,
        )
        child, same, _ = self.visit(expr.expr, inside)
        if same:
            child = _once(child)
        return _with(node, child), expr.at is not None or bool(expr.at_edge), False

    def _aggregate(self, node: Node, expr: ast.AggregateExpr, around: _Around) -> tuple[Node, bool, bool]:
        inside = msgspec.structs.replace(
            _apart(around), func=expr.op, grouping=expr.grouping, by=not expr.without
        )
        before: tuple[Node, ...] = ()
        if expr.param is not None:
            before = (self.visit(ast.unwrapped(expr.param), inside)[0],)
        child, same, wrap = self.visit(ast.unwrapped(expr.expr), inside)
        return _with(node, *before, child), same, wrap

    def _binary(self, node: Node, expr: ast.BinaryExpr, around: _Around) -> tuple[Node, bool, bool]:
        inside = msgspec.structs.replace(_apart(around), func="")
        left, left_same, left_wrap = self.visit(expr.left, inside)
        right, right_same, right_wrap = self.visit(expr.right, inside)
        if left_same and right_same:
            return _with(node, left, right), True, True
        return _with(node, _once(left, left_wrap), _once(right, right_wrap)), False, False

    def _call(self, node: Node, expr: ast.Call, around: _Around) -> tuple[Node, bool, bool]:
        inside = msgspec.structs.replace(_apart(around), func=expr.func)
        found = [self.visit(ast.unwrapped(arg), inside) for arg in expr.args]
        same = all(same for _, same, _ in found)
        selectors = all(isinstance(child.expr, VectorSelector) for child, _, _ in found)
        if same and (expr.func not in served.TIME_DEPENDENT or (expr.func == "timestamp" and selectors)):
            return _with(node, *(child for child, _, _ in found)), True, True
        return _with(node, *(_once(child, wrap) for child, _, wrap in found)), False, False


def _apart(around: _Around) -> _Around:
    """For a node that is not what the grouping was written for."""
    return msgspec.structs.replace(around, grouping=(), by=False, range=0)


def _with(node: Node, *children: Node) -> Node:
    return msgspec.structs.replace(node, children=children)


def _once(node: Node, whether: bool = True) -> Node:
    return msgspec.structs.replace(node, once=True) if whether else node


def make_plan(expr: Expr, query: Query) -> Plan:
    """
    :param expr: checked; its matchers may have been added to.
    :raises DurationError: a duration expression has no sensible value.
    """
    expr = resolved(expr, query.step, query.end - query.start)
    planning = _Planning(query)
    root, _, wrap = planning.visit(expr, _Around(query.start, query.end, query.step))
    root = _once(root, wrap)
    if query.delayed_name_removal:
        root = msgspec.structs.replace(root, path=REFERENCE, why="names are removed at the end")
    elif served.result_objection(expr):
        root = msgspec.structs.replace(root, path=REFERENCE, why=served.result_objection(expr))
    return Plan(query, root, tuple(planning.wanted))


def explained(node: Node) -> dict[str, object]:
    """A tree of ``name`` and ``children`` for the API that explains queries."""
    path = f"{node.path} ({node.why})" if node.why else node.path
    return {"name": f"[{path}] {text(node.expr)}", "children": [explained(child) for child in node.children]}
