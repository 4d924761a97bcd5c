"""Binary operators on numbers, and between a vector and a scalar."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine.fast.context import Context
from app.engine.fast.grid import Grid, Values
from app.engine.fast.served import ARITHMETIC
from app.engine.promql.ast import BinaryExpr

_CALCULATE: dict[str, Callable[..., Values]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
_COMPARE: dict[str, Callable[..., NDArray[np.bool_]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def operator(op: str) -> Callable[..., Any]:
    """Of two floats: a float, or for a comparison whether it holds."""
    return _CALCULATE[op] if op in ARITHMETIC else _COMPARE[op]


def scalars(op: str, left: Values, right: Values) -> Values:
    """Of two scalars; a comparison is 1 or 0."""
    with np.errstate(all="ignore"):
        return np.asarray(operator(op)(left, right), np.float64)


def larger(left: Values, right: Values) -> Values:
    """Of two, infinity even against NaN, and zero against -0 (Go's `math.Max`)."""
    with np.errstate(all="ignore"):
        found = np.where((left == 0) & (right == 0), left + right, np.maximum(left, right))
        return np.where((left == np.inf) | (right == np.inf), np.inf, found)


def smaller(left: Values, right: Values) -> Values:
    """Of two, minus infinity even against NaN, and -0 against zero (Go's `math.Min`)."""
    return -larger(-left, -right)


def with_scalar(context: Context, expr: BinaryExpr, grid: Grid, numbers: Values, *, swapped: bool) -> Grid:
    """Of a vector and a scalar.

    :param numbers: (steps,) float64.
    :param swapped: whether the scalar stands on the left.
    """
    function = operator(expr.op)
    sides = (numbers, grid.values) if swapped else (grid.values, numbers)
    if expr.op in ARITHMETIC or expr.return_bool:
        return grid.with_values(context.mapped(function, *sides)).nameless(context)
    keep = context.filled(context.flags(*grid.present.shape), function, *sides)
    context.filled(keep, np.logical_and, keep, grid.present)
    return grid.with_values(grid.values, keep).compact(context)
