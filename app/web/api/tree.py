"""Syntax trees as Prometheus's web pages draw them. Pure."""

from typing import Any

from app.engine.promql import ast
from app.engine.promql.ast import DurationExpr, Expr, Matcher, NumberLiteral, VectorSelector
from app.engine.promql.functions import FUNCTIONS
from app.engine.promql.printer import plain


def tree(node: Expr) -> dict[str, Any]:
    """A node and what is below it."""
    match node:
        case ast.AggregateExpr():
            return {
                "type": "aggregation",
                "op": node.op,
                "expr": tree(node.expr),
                "param": None if node.param is None else tree(node.param),
                "grouping": node.grouping,
                "without": node.without,
            }
        case ast.BinaryExpr():
            return {
                "type": "binaryExpr",
                "op": node.op,
                "lhs": tree(node.left),
                "rhs": tree(node.right),
                "matching": _matching(node.matching),
                "bool": node.return_bool,
            }
        case ast.Call():
            return {"type": "call", "func": _function(node.func), "args": [tree(each) for each in node.args]}
        case ast.MatrixSelector():
            span = {"range": node.range, "rangeExpr": _duration(node.range_expr)}
            return {**_selector(node.selector), "type": "matrixSelector", **span}
        case ast.VectorSelector():
            return _selector(node)
        case ast.SubqueryExpr():
            return _subquery(node)
        case ast.NumberLiteral():
            return {"type": "numberLiteral", "val": plain(node.value)}
        case ast.StringLiteral():
            return {"type": "stringLiteral", "val": node.value}
        case ast.ParenExpr():
            return {"type": "parenExpr", "expr": tree(node.expr)}
        case ast.UnaryExpr():
            return {"type": "unaryExpr", "op": node.op, "expr": tree(node.expr)}


def _selector(node: VectorSelector) -> dict[str, Any]:
    return {
        "type": "vectorSelector",
        "name": node.name,
        "offset": node.offset,
        "offsetExpr": _duration(node.offset_expr),
        "matchers": [_matcher(each) for each in node.matchers],
        "timestamp": node.at,
        "startOrEnd": node.at_edge or None,
        "anchored": node.anchored,
        "smoothed": node.smoothed,
    }


def _subquery(node: ast.SubqueryExpr) -> dict[str, Any]:
    return {
        "type": "subquery",
        "expr": tree(node.expr),
        "range": node.range,
        "rangeExpr": _duration(node.range_expr),
        "offset": node.offset,
        "offsetExpr": _duration(node.offset_expr),
        "step": node.step,
        "stepExpr": _duration(node.step_expr),
        "timestamp": node.at,
        "startOrEnd": node.at_edge or None,
    }


def _matcher(matcher: Matcher) -> dict[str, str]:
    return {"name": matcher.name, "value": matcher.value, "type": matcher.op}


def _matching(matching: ast.VectorMatching | None) -> dict[str, Any] | None:
    if matching is None:
        return None
    return {
        "card": matching.card,
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    }


def _function(name: str) -> dict[str, Any]:
    function = FUNCTIONS[name]
    return {
        "name": function.name,
        "argTypes": function.args,
        "variadic": function.variadic,
        "returnType": function.returns,
    }


def _duration(node: DurationExpr | NumberLiteral | None) -> dict[str, Any] | None:
    """Of a duration that is calculated: its tree; of any other None."""
    match node:
        case DurationExpr():
            return {
                "type": "durationExpr",
                "op": node.op,
                "lhs": _duration(node.left),
                "rhs": _duration(node.right),
                "wrapped": node.wrapped,
            }
        case NumberLiteral():
            return {"type": "numberLiteral", "val": plain(node.value), "duration": node.duration}
        case _:
            return None
