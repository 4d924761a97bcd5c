"""Replicas of one series to one series."""

import numpy as np

from app.kernels.jit import kernel

_UNKNOWN = np.int64(-(2**62))
_FIRST_PENALTY = np.int64(5000)
"""Milliseconds for which the replica that was not chosen first is passed over."""


@kernel
def merge_by_penalty(times_a, values_a, times_b, values_b, counter, times, values):
    """The samples of two replicas, sticking to one of them while it has no gap; how many there are.

    The algorithm is Thanos's (pkg/dedup, dedupSeriesIterator). With `counter`, a switch of replicas that
    would look like a reset is lifted to where the series was.
    """
    a, b, written = 0, 0, 0
    last, penalty_a, penalty_b = _UNKNOWN, np.int64(0), np.int64(0)
    use_a = True
    lift_a, lift_b = 0.0, 0.0
    while a < times_a.size or b < times_b.size:
        was_a = use_a
        known = (a < times_a.size) if was_a else (b < times_b.size)
        before = 0.0
        if known:
            before = values_a[a] + lift_a if was_a else values_b[b] + lift_b
        if last != _UNKNOWN:
            while a < times_a.size and times_a[a] < last + 1 + penalty_a:
                a += 1
            while b < times_b.size and times_b[b] < last + 1 + penalty_b:
                b += 1
        if a >= times_a.size:
            use_a = False
            if b >= times_b.size:
                return written
            penalty_b = np.int64(0)
        elif b >= times_b.size:
            use_a = True
            penalty_a = np.int64(0)
        else:
            use_a = times_a[a] <= times_b[b]
            chosen = times_a[a] if use_a else times_b[b]
            penalty = 2 * (chosen - last) if last != _UNKNOWN else _FIRST_PENALTY
            penalty_a, penalty_b = (np.int64(0), penalty) if use_a else (penalty, np.int64(0))
        if counter and use_a != was_a and known:
            if a < times_a.size and before > values_a[a] + lift_a:
                lift_a += before - (values_a[a] + lift_a)
            if b < times_b.size and before > values_b[b] + lift_b:
                lift_b += before - (values_b[b] + lift_b)
        last = times_a[a] if use_a else times_b[b]
        times[written] = last
        values[written] = values_a[a] + lift_a if use_a else values_b[b] + lift_b
        written += 1
    return written


@kernel
def merge_by_time(times_a, values_a, times_b, values_b, times, values):
    """The union of two replicas; where both have a sample, the first one's. How many there are."""
    a, b, written = 0, 0, 0
    while a < times_a.size or b < times_b.size:
        if b >= times_b.size or (a < times_a.size and times_a[a] <= times_b[b]):
            if b < times_b.size and times_a[a] == times_b[b]:
                b += 1
            times[written] = times_a[a]
            values[written] = values_a[a]
            a += 1
        else:
            times[written] = times_b[b]
            values[written] = values_b[b]
            b += 1
        written += 1
    return written
