"""Summation that keeps what rounding loses."""

import numpy as np

from app.kernels.jit import inlined


@inlined
def plus(value, total, lost):
    """Total and compensation after one more value.

    Knuth's two-sum: without a branch, and with the same exact remainder as Neumaier's variant of Kahan's
    algorithm, which Prometheus uses. An infinite total has nothing to compensate.
    """
    new = total + value
    back = new - total
    rest = (total - (new - back)) + (value - back)
    return new, 0.0 if np.isinf(new) else lost + rest
