"""The syntax tree of PromQL, as Prometheus 3.14 has it. All nodes are immutable.

Positions are character offsets into the query, durations whole milliseconds.
"""

from enum import StrEnum

import msgspec


class ValueType(StrEnum):
    """What an expression evaluates to."""

    SCALAR = "scalar"
    VECTOR = "vector"
    MATRIX = "matrix"
    STRING = "string"

    @property
    def documented(self) -> str:
        """As the documentation, and with it error texts, calls it."""
        return {"vector": "instant vector", "matrix": "range vector"}.get(self.value, self.value)


class Span(msgspec.Struct, frozen=True):
    """Where a node stands in the query: `[start, end)`."""

    start: int = 0
    end: int = 0


class Matcher(msgspec.Struct, frozen=True):
    """A label matcher.

    :param op: ``=``, ``!=``, ``=~`` or ``!~``.
    """

    op: str
    name: str
    value: str


class Cardinality(StrEnum):
    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"


class VectorMatching(msgspec.Struct, frozen=True):
    """How the elements of two vectors find each other.

    :param on: whether `labels` are those compared, rather than those ignored.
    :param include: of ``group_left`` and ``group_right``.
    :param fill_left: stands in for an element that the left side lacks; None: no element, no result.
    """

    card: Cardinality = Cardinality.ONE_TO_ONE
    labels: tuple[str, ...] = ()
    on: bool = False
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


class NumberLiteral(msgspec.Struct, frozen=True, tag=True):
    """:param duration: whether it was written as a duration, so that it is printed as one."""

    value: float
    duration: bool = False
    span: Span = Span()


class StringLiteral(msgspec.Struct, frozen=True, tag=True):
    value: str
    span: Span = Span()


class DurationExpr(msgspec.Struct, frozen=True, tag=True):
    """Arithmetic between durations, resolved once the step and range of the query are known.

    :param op: ``+ - * / % ^``, ``step``, ``range``, ``min_of`` or ``max_of``.
    :param left: None for unary signs, `step()` and `range()`.
    """

    op: str
    left: "DurationExpr | NumberLiteral | None" = None
    right: "DurationExpr | NumberLiteral | None" = None
    wrapped: bool = False
    span: Span = Span()


Duration = DurationExpr | NumberLiteral


class VectorSelector(msgspec.Struct, frozen=True, tag=True):
    """
    :param name: what stands before the braces; its matcher is the last of `matchers`.
    :param offset: milliseconds, as written.
    :param at: of the ``@`` modifier, milliseconds since the epoch.
    :param at_edge: ``start`` or ``end``, of ``@ start()`` and ``@ end()``.
    """

    name: str = ""
    matchers: tuple[Matcher, ...] = ()
    offset: int = 0
    offset_expr: DurationExpr | None = None
    at: int | None = None
    at_edge: str = ""
    anchored: bool = False
    smoothed: bool = False
    span: Span = Span()


class MatrixSelector(msgspec.Struct, frozen=True, tag=True):
    """:param range: milliseconds."""

    selector: VectorSelector
    range: int = 0
    range_expr: DurationExpr | None = None
    span: Span = Span()


class SubqueryExpr(msgspec.Struct, frozen=True, tag=True):
    """:param step: milliseconds; 0: the default evaluation interval."""

    expr: "Expr"
    range: int = 0
    range_expr: DurationExpr | None = None
    step: int = 0
    step_expr: DurationExpr | None = None
    offset: int = 0
    offset_expr: DurationExpr | None = None
    at: int | None = None
    at_edge: str = ""
    span: Span = Span()


class ParenExpr(msgspec.Struct, frozen=True, tag=True):
    expr: "Expr"
    span: Span = Span()


class UnaryExpr(msgspec.Struct, frozen=True, tag=True):
    op: str
    expr: "Expr"
    span: Span = Span()


class BinaryExpr(msgspec.Struct, frozen=True, tag=True):
    """:param matching: None where one side is a scalar."""

    op: str
    left: "Expr"
    right: "Expr"
    matching: VectorMatching | None = None
    return_bool: bool = False
    span: Span = Span()


class AggregateExpr(msgspec.Struct, frozen=True, tag=True):
    op: str
    expr: "Expr"
    param: "Expr | None" = None
    grouping: tuple[str, ...] = ()
    without: bool = False
    span: Span = Span()


class Call(msgspec.Struct, frozen=True, tag=True):
    """:param func: a name in `app.engine.promql.functions.FUNCTIONS`."""

    func: str
    args: "tuple[Expr, ...]" = ()
    span: Span = Span()


Expr = (
    NumberLiteral
    | StringLiteral
    | VectorSelector
    | MatrixSelector
    | SubqueryExpr
    | ParenExpr
    | UnaryExpr
    | BinaryExpr
    | AggregateExpr
    | Call
)

SET_OPERATORS = frozenset({"and", "or", "unless"})
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
AGGREGATIONS = frozenset(
    "avg bottomk count count_values group limit_ratio limitk max min quantile stddev stdvar sum topk".split()
)
PARAMETRIC = frozenset({"bottomk", "count_values", "limit_ratio", "limitk", "quantile", "topk"})


def children(node: Expr) -> "tuple[Expr, ...]":
    """The nodes directly below, in the order in which they are written."""
    match node:
        case SubqueryExpr() | ParenExpr() | UnaryExpr():
            return (node.expr,)
        case MatrixSelector():
            return (node.selector,)
        case BinaryExpr():
            return (node.left, node.right)
        case AggregateExpr():
            return (node.expr,) if node.param is None else (node.param, node.expr)
        case Call():
            return node.args
        case _:
            return ()


def unwrapped(node: Expr) -> Expr:
    """Without the parentheses around it."""
    while isinstance(node, ParenExpr):
        node = node.expr
    return node
