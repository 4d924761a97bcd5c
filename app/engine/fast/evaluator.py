"""Walks a plan: every node at all steps at once."""

import numpy as np

from app.engine.fast import aggregation, functions, matching, native, operators, ranges, ranking
from app.engine.fast.context import Context, NotServed
from app.engine.fast.counting import count_values
from app.engine.fast.grid import Grid, Numbers, Steps
from app.engine.fast.natives import NativeGrid, Natives
from app.engine.fast.plan import Node
from app.engine.fast.served import SCALARS, WINDOWS
from app.engine.fast.windowing import Source, Window
from app.engine.promql import ast

Value = Grid | NativeGrid | Numbers
"""A vector, of floats or of native histograms, or a scalar, over time."""


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
            if isinstance(found, Numbers):
                budget.require(8 * steps.count)
                found = Numbers(np.repeat(found.values, steps.count))
            else:
                found = found.broadcast(context, steps)
        else:
            found = self._value(node, steps)
        budget.adopt(found.data if isinstance(found, NativeGrid) else found.values)
        if not isinstance(found, Numbers):
            budget.adopt(found.present)
        # As Prometheus counts them: what it was made of is let go once all of it is there.
        held = found.held()
        budget.hold(held)
        budget.hold(before + held - budget.samples)
        return found

    def observe(self, node: Node, source: Source | Natives, window: Window) -> None:
        """Told of all windows that a node reads. For who measures."""

    def vector(self, node: Node, steps: Steps) -> Grid:
        """Of a node whose type is a vector.

        :raises NotServed: there are native histograms.
        """
        found = self.any_vector(node, steps)
        if isinstance(found, NativeGrid):
            raise NotServed("native histograms where only floats are computed with")
        return found

    def any_vector(self, node: Node, steps: Steps) -> Grid | NativeGrid:
        """Of a node whose type is a vector."""
        found = self.value(node, steps)
        assert not isinstance(found, Numbers)
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
        if isinstance(value, NativeGrid):
            numbers = np.full(steps.count, -1.0)
            return native.scaled(self._context, "*", value, numbers, swapped=False)
        negated = self._context.mapped(np.negative, value.values)
        return value.with_values(negated).nameless(self._context)

    def _binary(self, node: Node, expr: ast.BinaryExpr, steps: Steps) -> Value:
        left, right = (self.value(child, steps) for child in node.children)
        if isinstance(left, NativeGrid) or isinstance(right, NativeGrid):
            return self._native_binary(expr, left, right)
        if isinstance(left, Grid):
            if isinstance(right, Grid):
                return matching.binary(self._context, expr, left, right)
            return operators.with_scalar(self._context, expr, left, right.values, swapped=False)
        if isinstance(right, Grid):
            return operators.with_scalar(self._context, expr, right, left.values, swapped=True)
        return Numbers(operators.scalars(expr.op, left.values, right.values))

    def _native_binary(self, expr: ast.BinaryExpr, left: Value, right: Value) -> Value:
        """
        :raises NotServed: other than a scalar with native histograms.
        """
        if isinstance(left, NativeGrid) and isinstance(right, Numbers):
            return native.scaled(self._context, expr.op, left, right.values, swapped=False)
        if isinstance(right, NativeGrid) and isinstance(left, Numbers):
            return native.scaled(self._context, expr.op, right, left.values, swapped=True)
        raise NotServed("native histograms and operators between vectors")

    def _aggregate(self, node: Node, expr: ast.AggregateExpr, steps: Steps) -> Grid | NativeGrid:
        inner = node.children[-1]
        if expr.op in aggregation.OPERATORS:
            if not (inner.once and steps.count > 1) and ranges.is_direct(inner):
                return ranges.aggregated(self, self._context, expr, inner, steps)
            grid = self.any_vector(inner, steps)
            if isinstance(grid, NativeGrid):
                return native.aggregated_grid(self._context, expr, grid)
            return aggregation.of_grid(self._context, expr, grid)
        if expr.op == "count_values":
            return count_values(self._context, expr, self.vector(inner, steps))
        parameter = self.numbers(node.children[0], steps)
        return ranking.aggregated(self._context, expr, parameter.values, self.vector(inner, steps))
