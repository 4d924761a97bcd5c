"""Binary operators on numbers, and between a vector and a scalar."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.engine.fast.grid import Grid, Values
from app.engine.fast.served import ARITHMETIC

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


def calculated(op: str, left: Values, right: Values) -> Values:
    """An arithmetic operator, with infinities and NaN instead of warnings."""
    with np.errstate(all="ignore"):
        return _CALCULATE[op](left, right)


def compared(op: str, left: Values, right: Values) -> NDArray[np.bool_]:
    with np.errstate(all="ignore"):
        return _COMPARE[op](left, right)


def scalars(op: str, left: Values, right: Values) -> Values:
    """Of two scalars; a comparison is 1 or 0."""
    if op in ARITHMETIC:
        return calculated(op, left, right)
    return compared(op, left, right).astype(np.float64)


def larger(left: Values, right: Values) -> Values:
    """Of two, infinity even against NaN, and zero against -0 (Go's `math.Max`)."""
    with np.errstate(all="ignore"):
        found = np.where((left == 0) & (right == 0), left + right, np.maximum(left, right))
        return np.where((left == np.inf) | (right == np.inf), np.inf, found)


def smaller(left: Values, right: Values) -> Values:
    """Of two, minus infinity even against NaN, and -0 against zero (Go's `math.Min`)."""
    return -larger(-left, -right)


def with_scalar(op: str, grid: Grid, numbers: Values, *, swapped: bool, return_bool: bool) -> Grid:
    """Of a vector and a scalar.

    :param numbers: (steps,) float64.
    :param swapped: whether the scalar stands on the left.
    """
    left, right = (numbers, grid.values) if swapped else (grid.values, numbers)
    if op in ARITHMETIC:
        return grid.with_values(calculated(op, left, right)).nameless()
    keep = compared(op, left, right)
    if return_bool:
        return grid.with_values(keep.astype(np.float64)).nameless()
    return grid.with_values(grid.values, grid.present & keep).compact()
