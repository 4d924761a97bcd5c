"""Walks a plan: every node at all steps at once."""

import numpy as np

from app.engine.fast import aggregation, functions, matching, operators, ranges, ranking
from app.engine.fast.context import Context
from app.engine.fast.grid import Grid, Numbers, Steps
from app.engine.fast.plan import Node
from app.engine.fast.served import SCALARS, WINDOWS
from app.engine.fast.windowing import Source, Window
from app.engine.promql import ast

Value = Grid | Numbers
"""A vector or a scalar, over time."""


class Evaluator:
    """Evaluates nodes of one plan."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def value(self, node: Node, steps: Steps) -> Value:
        """
        :raises EvaluationError: the query cannot be answered.
        :raises NotServed: the data is for the reference path.
        :raises Cancelled: the cancel flag was set.
        """
        context, budget = self._context, self._context.budget
        context.check()
        before = budget.samples
        if node.once and steps.count > 1:
            found = self._value(node, steps.once())
            if isinstance(found, Grid):
                found = found.broadcast(context, steps)
            else:
                budget.require(8 * steps.count)
                found = Numbers(np.repeat(found.values, steps.count))
        else:
            found = self._value(node, steps)
        budget.adopt(found.values)
        if isinstance(found, Grid):
            budget.adopt(found.present)
        # As Prometheus counts them: what it was made of is let go once all of it is there.
        held = found.held()
        budget.hold(held)
        budget.hold(before + held - budget.samples)
        return found

    def observe(self, node: Node, source: Source, window: Window) -> None:
        """Told of all windows that a node reads. For who measures."""

    def vector(self, node: Node, steps: Steps) -> Grid:
        """Of a node whose type is a vector."""
        found = self.value(node, steps)
        assert isinstance(found, Grid)
        return found

    def numbers(self, node: Node, steps: Steps) -> Numbers:
        """Of a node whose type is a scalar."""
        found = self.value(node, steps)
        assert isinstance(found, Numbers)
        return found

    def _value(self, node: Node, steps: Steps) -> Value:
        expr = node.expr
        match expr:
            case ast.NumberLiteral():
                return Numbers(np.full(steps.count, expr.value))
            case ast.VectorSelector():
                return ranges.selected(self._context, node, steps)
            case ast.ParenExpr():
                return self.value(node.children[0], steps)
            case ast.UnaryExpr():
                return self._unary(node, expr, steps)
            case ast.BinaryExpr():
                return self._binary(node, expr, steps)
            case ast.AggregateExpr():
                return self._aggregate(node, expr, steps)
            case ast.Call() if expr.func in WINDOWS:
                return ranges.called(self, self._context, node, expr, steps)
            case ast.Call() if expr.func in SCALARS:
                return functions.scalar(self, self._context, node, expr, steps)
            case ast.Call():
                return functions.vector(self, self._context, node, expr, steps)
            case _:
                raise AssertionError(f"no plan gives {type(expr).__name__} to the evaluator")

    def _unary(self, node: Node, expr: ast.UnaryExpr, steps: Steps) -> Value:
        value = self.value(node.children[0], steps)
        if expr.op != "-":
            return value
        if isinstance(value, Numbers):
            return Numbers(-value.values)
        negated = self._context.mapped(np.negative, value.values)
        return value.with_values(negated).nameless(self._context)

    def _binary(self, node: Node, expr: ast.BinaryExpr, steps: Steps) -> Value:
        left, right = (self.value(child, steps) for child in node.children)
        if isinstance(left, Grid):
            if isinstance(right, Grid):
                return matching.binary(self._context, expr, left, right)
            return operators.with_scalar(self._context, expr, left, right.values, swapped=False)
        if isinstance(right, Grid):
            return operators.with_scalar(self._context, expr, right, left.values, swapped=True)
        return Numbers(operators.scalars(expr.op, left.values, right.values))

    def _aggregate(self, node: Node, expr: ast.AggregateExpr, steps: Steps) -> Grid:
        inner = node.children[-1]
        if expr.op in aggregation.OPERATORS:
            if not (inner.once and steps.count > 1) and ranges.is_direct(inner):
                return ranges.aggregated(self, self._context, expr, inner, steps)
            return aggregation.of_grid(self._context, expr, self.vector(inner, steps))
        parameter = self.numbers(node.children[0], steps)
        return ranking.aggregated(self._context, expr, parameter.values, self.vector(inner, steps))
