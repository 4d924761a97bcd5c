"""Functions of all samples of a window that reckon with each of them."""

import numpy as np

from app.engine.kernels.compensated import plus
from app.engine.kernels.ordering import quantile_of
from app.kernels.jit import float_kernel

DEVIATION = 40
VARIANCE = 41
QUANTILE = 42
DERIVATIVE = 43
PREDICTION = 44
ABSOLUTE_DEVIATION = 45


@float_kernel
def _variance(values, i, j):
    mean, mean_lost, squares, squares_lost = 0.0, 0.0, 0.0, 0.0
    for at in range(i, j):
        delta = values[at] - (mean + mean_lost)
        mean, mean_lost = plus(delta / (at - i + 1), mean, mean_lost)
        squares, squares_lost = plus(delta * (values[at] - (mean + mean_lost)), squares, squares_lost)
    return (squares + squares_lost) / (j - i)


@float_kernel
def _regression(times, values, i, j, origin):
    """Least squares: slope per second, and the value at `origin`."""
    sum_x, lost_x, sum_y, lost_y = 0.0, 0.0, 0.0, 0.0
    sum_xy, lost_xy, sum_xx, lost_xx = 0.0, 0.0, 0.0, 0.0
    constant = True
    for at in range(i, j):
        y = values[at]
        if y != values[i] and at > i:
            constant = False
        x = (times[at] - origin) / 1e3
        sum_x, lost_x = plus(x, sum_x, lost_x)
        sum_y, lost_y = plus(y, sum_y, lost_y)
        sum_xy, lost_xy = plus(x * y, sum_xy, lost_xy)
        sum_xx, lost_xx = plus(x * x, sum_xx, lost_xx)
    if constant:
        if np.isinf(values[i]):
            return np.nan, np.nan
        return 0.0, values[i]
    count = np.float64(j - i)
    sum_x += lost_x
    sum_y += lost_y
    covariance = (sum_xy + lost_xy) - sum_x * sum_y / count
    spread = (sum_xx + lost_xx) - sum_x * sum_x / count
    slope = covariance / spread
    return slope, sum_y / count - slope * sum_x / count


@float_kernel
def _absolute_deviation(values, i, j, scratch):
    for at in range(i, j):
        if values[at] != values[at]:
            return np.nan
        scratch[at - i] = values[at]
    median = quantile_of(0.5, scratch, j - i)
    for at in range(j - i):
        scratch[at] = abs(scratch[at] - median)
    return quantile_of(0.5, scratch, j - i)


@float_kernel
def statistics(
    function, times, values, ends, moments, window, closed, parameter, scratch, out, present, cancel
):
    """One series at all steps.

    :param moments: (steps,) int64, the steps themselves, which an offset or ``@`` sets apart from `ends`.
    :param parameter: (steps,) float64: the quantile, or how many seconds ahead the prediction is.
    :param scratch: (samples,) float64.
    """
    count = times.size
    least = 2 if function in (DERIVATIVE, PREDICTION) else 1
    i, j = 0, 0
    for step in range(ends.size):
        if cancel[0]:  # windows may be long
            return
        high = ends[step]
        while j < count and times[j] <= high:
            j += 1
        while i < j and times[i] <= high - window - closed:
            i += 1
        present[step] = j - i >= least
        if j - i < least:
            continue
        if function == VARIANCE:
            out[step] = _variance(values, i, j)
        elif function == DEVIATION:
            out[step] = np.sqrt(_variance(values, i, j))
        elif function == QUANTILE:
            for at in range(i, j):
                scratch[at - i] = values[at]
            out[step] = quantile_of(parameter[step], scratch, j - i)
        elif function == ABSOLUTE_DEVIATION:
            out[step] = _absolute_deviation(values, i, j, scratch)
        elif function == DERIVATIVE:
            out[step] = _regression(times, values, i, j, times[i])[0]
        else:
            slope, intercept = _regression(times, values, i, j, moments[step])
            out[step] = slope * parameter[step] + intercept
