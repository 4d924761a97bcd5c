"""Trees back to text: on one line as Prometheus prints it, or broken over lines as it prettifies."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.engine.promql import ast
from app.engine.promql.ast import Cardinality, Expr, Matcher, VectorMatching
from app.engine.promql.literals import duration_text
from app.engine.promql.quoting import quoted

_LEGACY_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_WIDEST = 100
"""Characters of a line past which a node is broken up."""


def text(node: Expr) -> str:
    """A query that parses to the same tree."""
    match node:
        case ast.NumberLiteral():
            return _number(node)
        case ast.StringLiteral():
            return quoted(node.value)
        case ast.VectorSelector():
            return _selector(node) + _at(node) + _extended(node) + _offset(node)
        case ast.MatrixSelector():
            selector = node.selector
            duration = _duration(node.range, node.range_expr)
            return f"{_selector(selector)}[{duration}]{_extended(selector)}{_at(selector)}{_offset(selector)}"
        case ast.SubqueryExpr():
            return text(node.expr) + _subquery_suffix(node)
        case ast.ParenExpr():
            return f"({text(node.expr)})"
        case ast.UnaryExpr():
            return node.op + text(node.expr)
        case ast.BinaryExpr():
            return f"{text(node.left)} {_operator(node)} {text(node.right)}"
        case ast.AggregateExpr():
            param = f"{text(node.param)}, " if node.param is not None else ""
            return f"{_aggregation(node)}({param}{text(node.expr)})"
        case ast.Call():
            return f"{node.func}({', '.join(map(text, node.args))})"


def pretty(node: Expr, level: int = 0) -> str:
    """The same, with what is longer than 100 characters broken over lines and indented."""
    indent, line = "  " * level, text(node)
    match node:
        case ast.UnaryExpr():
            return indent + node.op + pretty(node.expr, level).strip()
        case ast.SubqueryExpr():
            return line if len(line) <= _WIDEST else pretty(node.expr, level) + _subquery_suffix(node)
        case _ if len(line) <= _WIDEST:
            return indent + line
        case ast.BinaryExpr():
            sides = pretty(node.left, level + 1), pretty(node.right, level + 1)
            return f"{sides[0]}\n{indent}{_operator(node)}\n{sides[1]}"
        case ast.AggregateExpr():
            param = f"{pretty(node.param, level + 1)},\n" if node.param is not None else ""
            return f"{indent}{_aggregation(node)}(\n{param}{pretty(node.expr, level + 1)}\n{indent})"
        case ast.Call():
            args = ",\n".join(pretty(arg, level + 1) for arg in node.args)
            return f"{indent}{node.func}(\n{args}\n{indent})"
        case ast.ParenExpr():
            return f"{indent}(\n{pretty(node.expr, level + 1)}\n{indent})"
        case _:
            return indent + line


def _number(node: ast.NumberLiteral) -> str:
    if node.duration:
        sign = "-" if node.value < 0 else ""
        return sign + duration_text(round(abs(node.value) * 1000))
    return plain(node.value)


def plain(value: float) -> str:
    """A float without exponent, in the fewest digits that mean it."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return str(np.format_float_positional(value, trim="-"))


def _labels(names: Sequence[str]) -> str:
    return ", ".join(name if _LEGACY_LABEL.fullmatch(name) else quoted(name) for name in names)


def _aggregation(node: ast.AggregateExpr) -> str:
    if node.without:
        return f"{node.op} without ({_labels(node.grouping)}) "
    return f"{node.op} by ({_labels(node.grouping)}) " if node.grouping else node.op


def _operator(node: ast.BinaryExpr) -> str:
    return node.op + (" bool" if node.return_bool else "") + _matching(node.matching)


def _matching(matching: VectorMatching | None) -> str:
    if matching is None:
        return ""
    grouped = matching.card in (Cardinality.MANY_TO_ONE, Cardinality.ONE_TO_MANY)
    out = ""
    if matching.labels or matching.on or grouped:
        out += f" {'on' if matching.on else 'ignoring'} ({_labels(matching.labels)})"
    if grouped:
        side = "left" if matching.card is Cardinality.MANY_TO_ONE else "right"
        out += f" group_{side} ({_labels(matching.include)})"
    left, right = matching.fill_left, matching.fill_right
    if left is not None and left == right:
        return out + f" fill ({plain(left)})"
    if left is not None:
        out += f" fill_left ({plain(left)})"
    if right is not None:
        out += f" fill_right ({plain(right)})"
    return out


def matcher_text(matcher: Matcher) -> str:
    """One matcher, its name quoted where it must be."""
    name = matcher.name if _LEGACY_LABEL.fullmatch(matcher.name) else quoted(matcher.name)
    return f"{name}{matcher.op}{quoted(matcher.value)}"


def _selector(node: ast.VectorSelector) -> str:
    shown = sorted(
        matcher_text(matcher)
        for matcher in node.matchers
        if not (matcher.name == "__name__" and matcher.op == "=" and matcher.value == node.name and node.name)
    )
    return node.name + (f"{{{','.join(shown)}}}" if shown else "" if node.name else "{}")


def _at(node: ast.VectorSelector | ast.SubqueryExpr) -> str:
    if node.at is not None:
        return f" @ {node.at / 1000:.3f}"
    return f" @ {node.at_edge}()" if node.at_edge else ""


def _offset(node: ast.VectorSelector | ast.SubqueryExpr) -> str:
    if node.offset_expr is not None:
        return f" offset {_expression(node.offset_expr)}"
    if not node.offset:
        return ""
    return f" offset {'-' if node.offset < 0 else ''}{duration_text(abs(node.offset))}"


def _extended(node: ast.VectorSelector) -> str:
    return " anchored" if node.anchored else " smoothed" if node.smoothed else ""


def _duration(milliseconds: int, expr: ast.DurationExpr | None) -> str:
    return duration_text(milliseconds) if expr is None else _expression(expr)


def _subquery_suffix(node: ast.SubqueryExpr) -> str:
    step = _duration(node.step, node.step_expr) if node.step or node.step_expr else ""
    return f"[{_duration(node.range, node.range_expr)}:{step}]{_at(node)}{_offset(node)}"


def _expression(node: Any) -> str:
    if isinstance(node, ast.NumberLiteral):
        return _number(node)
    left = _expression(node.left) if node.left is not None else ""
    right = _expression(node.right) if node.right is not None else ""
    match node.op:
        case "step" | "range":
            out = f"{node.op}()"
        case "min_of" | "max_of":
            out = f"{node.op}({left}, {right})"
        case "+" if node.left is None:
            out = right
        case "-" if node.left is None:
            out = f"-{right}"
        case _:
            out = f"{left} {node.op} {right}"
    return f"({out})" if node.wrapped else out
