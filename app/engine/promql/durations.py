"""Duration expressions, in brackets and after `offset`: resolved once the query is placed in time."""

import math
from typing import Any

import msgspec

from app.engine.promql import ast
from app.engine.promql.ast import Duration, DurationExpr, Expr, NumberLiteral, Span
from app.engine.promql.lexer import Kind, Token
from app.engine.promql.tokens import TokenStream

_POWERS = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3}
_UNARY = 2
_LIMIT = 2.0**63 / 1e9
"""Seconds in the largest duration of Go."""
_NAMED = frozenset({"step", "range", "min_of", "max_of"})


class DurationParsing(TokenStream):
    """The part of the parser that reads durations."""

    def positive_duration(self) -> tuple[int, DurationExpr | None]:
        """Milliseconds, or an expression for them."""
        duration = self._duration(0)
        if isinstance(duration, DurationExpr):
            return 0, duration
        if duration.value <= 0:
            self.fail("duration must be greater than 0", duration.span)
        return math.trunc(round(duration.value * 1e9) / 1e6), None

    def offset_duration(self) -> Duration:
        """After `offset`, operators belong to what is around it unless parentheses say otherwise."""
        token = self.token
        if self.at("+") or self.at("-"):
            self.advance()
            return self._signed(token.text, self._atom(sign=token), token.span)
        return self._atom()

    def _duration(self, power: int) -> Duration:
        token = self.token
        if self.at("+") or self.at("-"):
            self.advance()
            left = self._signed(token.text, self._duration(_UNARY), token.span)
        else:
            left = self._atom()
        while self.token.kind is Kind.SYMBOL and (binds := _POWERS.get(self.token.text, 0)) > power:
            op = self.advance()
            right = self._duration(binds - 1 if op.text == "^" else binds)
            self._experimental(left.span)
            if op.text in "/%" and isinstance(right, NumberLiteral) and right.value == 0:
                self.fail("division by zero" if op.text == "/" else "modulo by zero", op.span)
            left = DurationExpr(op.text, left, right, span=Span(left.span.start, right.span.end))
        return left

    def _atom(self, *, sign: Token | None = None) -> Duration:
        """:param sign: right before, after `offset`; Prometheus asks for the feature a little differently."""
        token = self.token
        if token.kind in (Kind.NUMBER, Kind.DURATION):
            literal = self.literal()
            self._within(literal)
            return literal
        if self.at("("):
            self.advance()
            inner = self._duration(0)
            span = Span(token.start, self.expect(")").end)
            if sign is None:
                self._experimental(inner.span)
            if isinstance(inner, DurationExpr):
                return msgspec.structs.replace(inner, wrapped=True)
            return DurationExpr("+", None, inner, wrapped=True, span=span)
        if token.kind is Kind.KEYWORD and token.text in _NAMED:
            return self._named(sign)
        self.unexpected()

    def _named(self, sign: Token | None) -> Duration:
        op = self.advance()
        self.expect("(")
        left = right = None
        if op.text in ("min_of", "max_of"):
            left = self._duration(0)
            self.expect(",")
            right = self._duration(0)
        span = Span(op.start, self.expect(")").end)
        self._experimental(sign.span if sign is not None else span if left is None else left.span)
        return DurationExpr(op.text, left, right, span=span)

    def _signed(self, sign: str, duration: Duration, at: Span) -> Duration:
        span = Span(at.start, duration.span.end)
        if isinstance(duration, NumberLiteral):
            value = -duration.value if sign == "-" else duration.value
            return msgspec.structs.replace(duration, value=value, span=span)
        if sign == "-":
            return DurationExpr("-", None, duration, span=span)
        return duration

    def _within(self, literal: NumberLiteral) -> None:
        if not abs(literal.value) <= _LIMIT:
            self.fail("duration out of range", literal.span)

    def _experimental(self, span: Span) -> None:
        if not self.features.duration_expressions:
            self.fail("experimental duration expression is not enabled", span)


class DurationError(ValueError):
    """A duration expression without a usable value; the text carries its span, as Prometheus's."""


def resolved(node: Expr, step: int, query_range: int) -> Expr:
    """The tree with every duration expression replaced by its value.

    :param step: of the query, milliseconds.
    :param query_range: from its start to its end, milliseconds.
    :raises DurationError: one that is not a duration.
    """
    changes: dict[str, Any] = {}
    for field in node.__struct_fields__:
        value = getattr(node, field)
        if isinstance(value, ast.Expr):
            changes[field] = resolved(value, step, query_range)
        elif field == "args":
            changes[field] = tuple(resolved(each, step, query_range) for each in value)
        elif isinstance(value, DurationExpr):
            name = field.removesuffix("_expr")
            changes[name] = _milliseconds(value, step, query_range, negative=name == "offset")
            changes[field] = None
    return msgspec.structs.replace(node, **changes) if changes else node


def _milliseconds(expr: DurationExpr, step: int, query_range: int, *, negative: bool) -> int:
    where = f"{expr.span.start}:{expr.span.end}"
    seconds = _seconds(expr, step, query_range)
    if not math.isfinite(seconds):
        raise DurationError(f"{where}: duration is NaN or infinite")
    if seconds <= 0 and not negative:
        raise DurationError(f"{where}: duration must be greater than 0")
    if abs(seconds) > _LIMIT:
        raise DurationError(f"{where}: duration is out of range")
    return math.trunc(seconds * 1000)


def _seconds(expr: Duration | None, step: int, query_range: int) -> float:
    if expr is None:
        return 0.0
    if isinstance(expr, NumberLiteral):
        return expr.value
    left, right = _seconds(expr.left, step, query_range), _seconds(expr.right, step, query_range)
    where = f"{expr.span.start}:{expr.span.end}"
    match expr.op:
        case "step":
            return step / 1000
        case "range":
            return query_range / 1000
        case "min_of":
            return min(left, right)
        case "max_of":
            return max(left, right)
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "^":
            return _power(left, right)
    if right == 0:
        raise DurationError(f"{where}: {'division' if expr.op == '/' else 'modulo'} by zero")
    return left / right if expr.op == "/" else math.fmod(left, right)


def _power(base: float, exponent: float) -> float:
    try:
        value = base**exponent
    except (OverflowError, ZeroDivisionError):
        return math.inf
    return value if isinstance(value, float) else math.nan
