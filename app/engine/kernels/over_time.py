"""Functions of all samples of a window that need no more than one pass over them."""

import numpy as np

from app.engine.kernels.compensated import plus
from app.engine.kernels.samples import STALE
from app.kernels.jit import float_kernel, kernel

INSTANT = 10
TIMESTAMP = 11
COUNT = 20
PRESENT = 21
FIRST = 22
LAST = 23
FIRST_TIME = 24
LAST_TIME = 25
CHANGES = 26
RESETS = 27
SUM = 30
AVERAGE = 31
MIN = 32
MAX = 33


@kernel
def latest(function, times, values, ends, lookback, closed, out, present):
    """The latest sample of one series at all steps, if it is young enough and no staleness marker.

    :param function: `INSTANT` for the values, `TIMESTAMP` for their times in seconds.
    """
    bits = values.view(np.uint64)
    count = times.size
    j = 0
    for step in range(ends.size):
        high = ends[step]
        while j < count and times[j] <= high:
            j += 1
        if j == 0 or times[j - 1] <= high - lookback - closed or bits[j - 1] == STALE:
            present[step] = 0
            continue
        out[step] = values[j - 1] if function == INSTANT else times[j - 1] / 1000.0
        present[step] = 1


@kernel
def _running_events(function, values, running):
    """How many changes or resets there were up to each sample."""
    total = 0
    for at in range(values.size):
        if at:
            now, before = values[at], values[at - 1]
            if function == RESETS:
                total += now < before
            else:
                total += now != before and not (now != now and before != before)
        running[at] = total


@kernel
def edges(function, times, values, ends, window, closed, running, out, present):
    """Functions of one series at all steps that need only where a window begins and ends."""
    count = times.size
    if function in (CHANGES, RESETS):
        _running_events(function, values, running)
    i, j = 0, 0
    for step in range(ends.size):
        high = ends[step]
        while j < count and times[j] <= high:
            j += 1
        while i < j and times[i] <= high - window - closed:
            i += 1
        present[step] = i < j
        if i == j:
            continue
        if function == COUNT:
            out[step] = j - i
        elif function == PRESENT:
            out[step] = 1.0
        elif function == FIRST:
            out[step] = values[i]
        elif function == LAST:
            out[step] = values[j - 1]
        elif function == FIRST_TIME:
            out[step] = times[i] / 1000.0
        elif function == LAST_TIME:
            out[step] = times[j - 1] / 1000.0
        else:
            out[step] = running[j - 1] - running[i]


@float_kernel
def _mean(values, i, j):
    """As Prometheus has it: the sum divided, or a moving mean once the sum would overflow."""
    total, lost = values[i], 0.0
    for at in range(i + 1, j):
        total, lost = plus(values[at], total, lost)
    if not (np.isinf(total) or np.isnan(total)):
        return total / (j - i) + lost / (j - i)
    total, lost = values[i], 0.0
    moving = False
    for at in range(i + 1, j):
        seen = np.float64(at - i + 1)
        if not moving:
            new_total, new_lost = plus(values[at], total, lost)
            if not np.isinf(new_total):
                total, lost = new_total, new_lost
                continue
            moving = True
            total /= seen - 1
            lost /= seen - 1
        share = (seen - 1) / seen
        total, lost = plus(values[at] / seen, share * total, share * lost)
    if moving:
        return total + lost
    return total / (j - i) + lost / (j - i)


@float_kernel
def sums(function, times, values, ends, window, closed, out, present, cancel):
    """sum_over_time and avg_over_time of one series at all steps, each window summed in order."""
    count = times.size
    i, j = 0, 0
    for step in range(ends.size):
        if cancel[0]:  # windows may be long
            return
        high = ends[step]
        while j < count and times[j] <= high:
            j += 1
        while i < j and times[i] <= high - window - closed:
            i += 1
        present[step] = i < j
        if i == j:
            continue
        if function == AVERAGE:
            out[step] = _mean(values, i, j)
            continue
        total, lost = 0.0, 0.0
        for at in range(i, j):
            total, lost = plus(values[at], total, lost)
        out[step] = total if np.isinf(total) else total + lost


@kernel
def extremes(function, times, values, ends, window, closed, queue, out, present):
    """min_over_time and max_over_time of one series at all steps; NaN only where nothing else is.

    :param queue: (samples,) int64 scratch: positions that can still become the extreme, best first.
    """
    count = times.size
    i, j, head, tail = 0, 0, 0, 0
    for step in range(ends.size):
        high = ends[step]
        while j < count and times[j] <= high:
            value = values[j]
            if value == value:
                if function == MAX:
                    while tail > head and values[queue[tail - 1]] < value:
                        tail -= 1
                else:
                    while tail > head and values[queue[tail - 1]] > value:
                        tail -= 1
                queue[tail] = j
                tail += 1
            j += 1
        while i < j and times[i] <= high - window - closed:
            i += 1
        while head < tail and queue[head] < i:
            head += 1
        present[step] = i < j
        if i < j:
            out[step] = values[queue[head]] if head < tail else values[j - 1]
