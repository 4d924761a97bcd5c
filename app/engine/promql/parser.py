"""Tokens to syntax tree: operators by binding power (Pratt), everything else by descent.

The grammar is that of Prometheus 3.14 (`promql/parser/generated_parser.y` there); where its parser has a text
of its own for an error, so has this one.
"""

import math
from typing import TypeVar

import msgspec

from app.engine.promql import ast
from app.engine.promql.ast import Cardinality, Expr, Matcher, Span, VectorMatching, VectorSelector
from app.engine.promql.durations import DurationParsing
from app.engine.promql.errors import ParseError
from app.engine.promql.features import NO_FEATURES, Features
from app.engine.promql.functions import FUNCTIONS
from app.engine.promql.lexer import Kind, Token
from app.engine.promql.quoting import quoted
from app.engine.promql.typecheck import check

POWERS = {"or": 1, "and": 2, "unless": 2} | dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "</", ">/"), 3)
POWERS |= {"+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6}
_UNARY = 5
"""A sign binds as a product does, so that ``-1 ^ 2`` is ``-(1 ^ 2)``."""
_NOT_METRICS = frozenset(["bool", "on", "ignoring", "group_left", "group_right", "atan2"])
_CALLED = frozenset(["start", "end", "step", "range", "max_of", "min_of"])
_MATCH_OPERATORS = ("=", "!=", "=~", "!~")
_NOT_LABELS = frozenset({"without"})
_DEEPEST = 200
"""Nesting past which a query is refused."""
MAX_INT64 = 2.0**63

Selecting = TypeVar("Selecting", VectorSelector, ast.MatrixSelector, ast.SubqueryExpr)


def parse(text: str, features: Features = NO_FEATURES) -> Expr:
    """The tree of a query, with its types checked.

    :raises ParseError: with Prometheus's text and the position.
    """
    parsing = _Parsing(text, features)
    if parsing.is_a(Kind.EOF):
        raise ParseError("no expression found in input", Span(), text)
    try:
        expr = parsing.expression()
        if not parsing.is_a(Kind.EOF):
            parsing.unexpected()
        return check(expr, text)
    except RecursionError:  # long chains of operators are deep trees, too
        raise ParseError("expression is nested too deeply", parsing.token.span, text) from None


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """The matchers of a series selector, as ``match[]`` of the API has them.

    :raises ParseError: it is none.
    """
    parsing = _Parsing(text, NO_FEATURES)
    token = parsing.token
    if not (parsing.at("{") or _names_metric(token)):
        parsing.unexpected()
    selector = parsing.selector()
    if not parsing.is_a(Kind.EOF):
        parsing.unexpected()
    return selector.matchers


def _names_metric(token: Token) -> bool:
    if token.kind is Kind.KEYWORD:
        return token.text not in _NOT_METRICS
    return token.kind in (Kind.IDENTIFIER, Kind.METRIC_IDENTIFIER)


class _Parsing(DurationParsing):
    """Mutable: the position in the tokens."""

    _depth = 0

    # -- expressions

    def expression(self, power: int = 0) -> Expr:
        """Everything that binds tighter than `power`."""
        self._depth += 1
        if self._depth > _DEEPEST:
            self.fail("expression is nested too deeply", self.token.span)
        left = self._unary()
        while (binds := POWERS.get(self._operator(), 0)) > power:
            left = self._binary(left, binds)
        self._depth -= 1
        return left

    def _operator(self) -> str:
        token = self.token
        return token.text if token.kind in (Kind.SYMBOL, Kind.KEYWORD) else ""

    def _unary(self) -> Expr:
        token = self.token
        if not (self.at("+") or self.at("-")):
            return self._modified(self._primary())
        self.advance()
        expr = self.expression(_UNARY)
        span = Span(token.start, expr.span.end)
        if isinstance(expr, ast.NumberLiteral):
            return msgspec.structs.replace(
                expr, value=-expr.value if token.text == "-" else expr.value, span=span
            )
        return ast.UnaryExpr(token.text, expr, span)

    def _binary(self, left: Expr, power: int) -> Expr:
        op = self.advance().text
        return_bool = self.accept("bool")
        matching = self._matching()
        right = self.expression(power - 1 if op == "^" else power)
        span = Span(left.span.start, right.span.end)
        if not self.features.fill_modifiers and (
            matching.fill_left is not None or matching.fill_right is not None
        ):
            self.fail("binop fill modifiers are experimental and not enabled", span)
        return ast.BinaryExpr(op, left, right, matching, return_bool, span)

    def _matching(self) -> VectorMatching:
        card, on = Cardinality.ONE_TO_ONE, False
        labels: tuple[str, ...] = ()
        include: tuple[str, ...] = ()
        if self.at("on") or self.at("ignoring"):
            on = self.advance().text == "on"
            labels = self._grouping()
            if self.at("group_left") or self.at("group_right"):
                many_left = self.advance().text == "group_left"
                card = Cardinality.MANY_TO_ONE if many_left else Cardinality.ONE_TO_MANY
                include = self._grouping() if self.at("(") else ()
        fill_left = fill_right = None
        if self.accept("fill"):
            fill_left = fill_right = self._fill()
        elif self.at("fill_left") or self.at("fill_right"):
            first = self.advance().text
            value = self._fill()
            other = "fill_right" if first == "fill_left" else "fill_left"
            second = self._fill() if self.accept(other) else None
            fill_left, fill_right = (value, second) if first == "fill_left" else (second, value)
        return VectorMatching(card, labels, on, include, fill_left, fill_right)

    def _fill(self) -> float:
        self.expect("(")
        sign = -1.0 if self.at("-") else 1.0
        if self.at("-") or self.at("+"):
            self.advance()
        if not self.is_a(Kind.NUMBER, Kind.DURATION):
            self.unexpected()
        value = self.literal().value
        self.expect(")")
        return sign * value

    def _grouping(self) -> tuple[str, ...]:
        if not self.accept("("):
            self.unexpected("grouping opts", '"("')
        found: list[str] = []
        while not self.accept(")"):
            found.append(self._grouping_label())
            if not self.at(")") and not self.accept(","):
                self.unexpected("grouping opts", '"," or ")"')
        return tuple(found)

    def _grouping_label(self) -> str:
        token = self.token
        if token.kind is Kind.STRING:
            name = self.unquoted(token)
        elif token.kind in (Kind.IDENTIFIER, Kind.METRIC_IDENTIFIER):
            name = token.text
        elif token.kind is Kind.KEYWORD and token.text not in _NOT_LABELS:
            name = self.text[token.start : token.end]
        else:
            self.unexpected("grouping opts", "label")
        if not name:
            self.fail(f"invalid label name for grouping: {quoted(name)}", token.span)
        self.advance()
        return name

    # -- primaries

    def _starts_expression(self) -> bool:
        if any(map(self.at, ("(", "{", "+", "-"))):
            return True
        literal = self.is_a(Kind.NUMBER, Kind.DURATION, Kind.STRING)
        return literal or _names_metric(self.token)

    def _primary(self) -> Expr:
        token = self.token
        if token.kind in (Kind.NUMBER, Kind.DURATION):
            return self.literal()
        if token.kind is Kind.STRING:
            self.advance()
            return ast.StringLiteral(self.unquoted(token), token.span)
        if self.accept("("):
            expr = self.expression()
            return ast.ParenExpr(expr, Span(token.start, self.expect(")").end))
        if token.kind is Kind.KEYWORD and token.text in ast.AGGREGATIONS and self._aggregates():
            return self._aggregation()
        if self._calls(token):
            return self._call()
        if self.at("{") or _names_metric(token):
            return self.selector()
        self.unexpected()

    def _aggregates(self) -> bool:
        after = self.peek()
        return after.text in ("(", "by", "without") and after.kind in (Kind.SYMBOL, Kind.KEYWORD)

    def _calls(self, token: Token) -> bool:
        callable_ = token.kind is Kind.IDENTIFIER or (token.kind is Kind.KEYWORD and token.text in _CALLED)
        return callable_ and self.peek().text == "(" and self.peek().kind is Kind.SYMBOL

    def _aggregation(self) -> Expr:
        token = self.advance()
        with self.within("aggregation"):
            modifier = self._modifier()
            args = self._arguments()
        if modifier is None:
            modifier = self._modifier()
        without, grouping = modifier or (False, ())
        span = Span(token.start, self.last.end)
        if not args:
            self.fail("no arguments for aggregate expression provided", span)
        if token.text in ("limitk", "limit_ratio") and not self.features.experimental_functions:
            self.fail(
                f"{token.text}() is experimental and must be enabled with "
                "--enable-feature=promql-experimental-functions",
                span,
            )
        wanted = 2 if token.text in ast.PARAMETRIC else 1
        if len(args) != wanted:
            self.fail(
                "wrong number of arguments for aggregate expression provided, "
                f"expected {wanted}, got {len(args)}",
                span,
            )
        param = args[0] if wanted == 2 else None
        return ast.AggregateExpr(token.text, args[-1], param, grouping, without, span)

    def _modifier(self) -> tuple[bool, tuple[str, ...]] | None:
        if not (self.at("by") or self.at("without")):
            return None
        without = self.advance().text == "without"
        return without, self._grouping()

    def _call(self) -> Expr:
        token = self.advance()
        args = self._arguments()
        name = self.text[token.start : token.end]
        signature = FUNCTIONS.get(name)
        if signature is None:
            self.fail(f"unknown function with name {quoted(name)}", token.span)
        if signature.experimental and not self.features.experimental_functions:
            self.fail(f"function {quoted(name)} is not enabled", token.span)
        return ast.Call(name, args, Span(token.start, self.last.end))

    def _arguments(self) -> tuple[Expr, ...]:
        self.expect("(")
        if self.accept(")"):
            return ()
        found = [self.expression()]
        while self.at(","):
            comma = self.advance()
            if not self._starts_expression():
                self.fail("trailing commas not allowed in function call args", comma.span)
            found.append(self.expression())
        self.expect(")")
        return tuple(found)

    # -- selectors

    def selector(self) -> VectorSelector:
        """A metric name, matchers in braces, or both."""
        first = self.token
        name = ""
        if not self.at("{"):
            name = self.text[first.start : first.end]
            self.advance()
        matchers: list[Matcher] = []
        if self.accept("{"):
            while not self.accept("}"):
                matchers.append(self._matcher())
                if not self.at("}") and not self.accept(","):
                    self.unexpected("label matching", '"," or "}"')
        if name:
            matchers.append(Matcher("=", "__name__", name))
        return VectorSelector(name, tuple(matchers), span=Span(first.start, self.last.end))

    def _matcher(self) -> Matcher:
        token = self.token
        if token.kind is Kind.STRING:
            name = self.unquoted(self.advance())
            if not any(map(self.at, _MATCH_OPERATORS)):
                return Matcher("=", "__name__", name)
        elif token.kind is Kind.IDENTIFIER:
            name = self.advance().text
        else:
            self.unexpected("label matching", 'identifier or "}"')
        if not any(map(self.at, _MATCH_OPERATORS)):
            self.unexpected("label matching", "label matching operator")
        op = self.advance().text
        if not self.is_a(Kind.STRING):
            self.unexpected("label matching", "string")
        value = self.unquoted(self.advance())
        if op in ("=~", "!~"):
            self.check_expression(value, Span(token.start, self.last.end))
        return Matcher(op, name, value)

    # -- what may follow a selector

    def _modified(self, expr: Expr) -> Expr:
        while True:
            if self.at("["):
                expr = self._bracketed(expr)
            elif self.accept("offset"):
                expr = self._with_offset(expr)
            elif self.accept("@"):
                expr = self._with_at(expr)
            elif self.at("anchored") or self.at("smoothed"):
                expr = self._extended(expr, self.advance().text)
            else:
                return expr

    def _bracketed(self, expr: Expr) -> Expr:
        bracket = self.advance()
        wanted = "number, duration, step(), "
        with self.within("subquery or range selector", wanted + "or range()"):
            range_, range_expr = self.positive_duration()
        if self.at("]"):
            self.advance()
            return self._matrix(expr, range_, range_expr, Span(bracket.start, self.last.end))
        if not self.accept(":"):
            self.unexpected("subquery or range", '":" or "]"')
        step, step_expr = 0, None
        if not self.at("]"):
            with self.within("subquery selector", wanted + 'range(), or "]"'):
                step, step_expr = self.positive_duration()
        if not self.at("]"):
            self.unexpected("subquery selector", '"]"')
        self.advance()
        span = Span(expr.span.start, self.last.end)
        return ast.SubqueryExpr(expr, range_, range_expr, step, step_expr, span=span)

    def _matrix(self, expr: Expr, range_: int, range_expr: ast.DurationExpr | None, brackets: Span) -> Expr:
        if not isinstance(expr, VectorSelector):
            self.fail("ranges only allowed for vector selectors", brackets)
        if expr.offset or expr.offset_expr is not None:
            self.fail("no offset modifiers allowed before range", brackets)
        if expr.at is not None or expr.at_edge:
            self.fail("no @ modifiers allowed before range", brackets)
        return ast.MatrixSelector(expr, range_, range_expr, Span(expr.span.start, self.last.end))

    def _with_offset(self, expr: Expr) -> Expr:
        with self.within("offset", "number, duration, step(), or range()"):
            duration = self.offset_duration()
        target = self._modifiable(expr, "offset modifier")
        if target.offset or target.offset_expr is not None:
            self.fail("offset may not be set multiple times", expr.span)
        if isinstance(duration, ast.NumberLiteral):
            return self._changed(expr, offset=math.trunc(round(duration.value * 1e9) / 1e6))
        return self._changed(expr, offset_expr=duration)

    def _with_at(self, expr: Expr) -> Expr:
        edge, time = "", None
        if self.at("start") or self.at("end"):
            edge = self.advance().text
            with self.within("@", "timestamp"):
                self.expect("(")
                self.expect(")")
        else:
            sign = -1.0 if self.at("-") else 1.0
            if self.at("-") or self.at("+"):
                self.advance()
            if not self.is_a(Kind.NUMBER, Kind.DURATION):
                self.unexpected("@", "timestamp")
            seconds = sign * self.literal().value
            if not math.isfinite(seconds) or abs(seconds) >= MAX_INT64:
                self.fail(f"timestamp out of bounds for @ modifier: {_go_f(seconds)}", expr.span)
            time = round(seconds * 1000)
        target = self._modifiable(expr, "@ modifier")
        if target.at is not None or target.at_edge:
            self.fail("@ <timestamp> may not be set multiple times", expr.span)
        return self._changed(expr, at=time, at_edge=edge)

    def _modifiable(self, expr: Expr, what: str) -> VectorSelector | ast.SubqueryExpr:
        if isinstance(expr, ast.MatrixSelector):
            return expr.selector
        if isinstance(expr, VectorSelector | ast.SubqueryExpr):
            return expr
        self.fail(
            f"{what} must be preceded by an instant vector selector or range vector selector or a subquery",
            expr.span,
        )

    def _changed(self, expr: Expr, **changes: object) -> Expr:
        span = Span(expr.span.start, self.last.end)
        if isinstance(expr, ast.MatrixSelector):
            return msgspec.structs.replace(
                expr, selector=msgspec.structs.replace(expr.selector, **changes), span=span
            )
        return msgspec.structs.replace(expr, span=span, **changes)

    def _extended(self, expr: Expr, modifier: str) -> Expr:
        if not self.features.extended_range_selectors:
            self.fail(f"{modifier} modifier is experimental and not enabled", expr.span)
        if isinstance(expr, ast.SubqueryExpr):
            self.fail(f"{modifier} modifier is not supported for subqueries", expr.span)
        if not isinstance(expr, VectorSelector | ast.MatrixSelector):
            self.fail(f"{modifier} modifier not implemented", expr.span)
        if isinstance(expr, ast.MatrixSelector):
            return msgspec.structs.replace(expr, selector=self._extended(expr.selector, modifier))
        if expr.smoothed if modifier == "anchored" else expr.anchored:
            self.fail("anchored and smoothed modifiers cannot be used together", expr.span)
        return msgspec.structs.replace(expr, **{modifier: True})


def _go_f(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else f"{value:f}"
