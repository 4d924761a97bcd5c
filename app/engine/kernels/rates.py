"""Functions of the first and last samples of a window: rate, increase, delta, irate, idelta."""

from app.kernels.jit import float_kernel, inlined, kernel

RATE = 0
INCREASE = 1
DELTA = 2
IRATE = 3
IDELTA = 4


@inlined
def extrapolation(function, first_time, last_time, first, total, samples, low, high, seconds):
    """By how much what was seen between samples grows over the whole window, as far as the series reaches.

    The algorithm and the order of operations are Prometheus's (promql/functions.go, extrapolatedRate), so
    that results are equal bit for bit.
    """
    to_start = (first_time - low) / 1000.0
    to_end = (high - last_time) / 1000.0
    sampled = (last_time - first_time) / 1000.0
    average = sampled / (samples - 1)
    threshold = average * 1.1
    if to_start >= threshold:
        to_start = average / 2
    if function != DELTA and total > 0 and first >= 0:
        to_zero = sampled * (first / total)
        to_start = min(to_start, to_zero)
    if to_end >= threshold:
        to_end = average / 2
    factor = 1.0
    if sampled != 0:
        factor = (sampled + to_start + to_end) / sampled
    if function == RATE:
        factor /= seconds
    return factor


@kernel
def find_resets(values, resets):
    """Positions of values that are less than the one before; how many there are."""
    found = 0
    for at in range(1, values.size):
        found += values[at] < values[at - 1]
    if found == 0:
        return 0
    found = 0
    for at in range(1, values.size):
        if values[at] < values[at - 1]:
            resets[found] = at
            found += 1
    return found


@float_kernel
def rates(function, times, values, ends, window, seconds, closed, resets, out, present):
    """Extrapolated functions of one series at all steps.

    :param ends: (steps,) int64, where each window ends, not falling.
    :param seconds: of the window, as a float.
    :param closed: 1 where a window includes its first instant, else 0.
    :param resets: (samples,) int64 scratch.
    """
    count = times.size
    found = find_resets(values, resets) if function != DELTA else 0
    passed = 0
    i, j = 0, 0
    for step in range(ends.size):
        high = ends[step]
        low = high - window
        while j < count and times[j] <= high:
            j += 1
        while i < j and times[i] <= low - closed:
            i += 1
        if j - i < 2:
            present[step] = 0
            continue
        total = values[j - 1] - values[i]
        if passed < found:
            while passed < found and resets[passed] <= i:
                passed += 1
            at = passed
            while at < found and resets[at] < j:
                total += values[resets[at] - 1]
                at += 1
        out[step] = total * extrapolation(
            function, times[i], times[j - 1], values[i], total, j - i, low, high, seconds
        )
        present[step] = 1


@float_kernel
def instant_rates(function, times, values, ends, window, closed, out, present):
    """irate and idelta of one series at all steps: of the last two samples of a window."""
    count = times.size
    j = 0
    for step in range(ends.size):
        high = ends[step]
        while j < count and times[j] <= high:
            j += 1
        if j < 2 or times[j - 2] <= high - window - closed or times[j - 1] == times[j - 2]:
            present[step] = 0
            continue
        last, before = values[j - 1], values[j - 2]
        result = last
        if function == IDELTA or not last < before:
            result = last - before
        if function == IRATE:
            result /= (times[j - 1] - times[j - 2]) / 1000.0
        out[step] = result
        present[step] = 1
