"""Replicas of a series merged.

The penalty merge follows one replica and changes to another where the first has a gap. Source: Thanos,
pkg/dedup/iter.go (the rule, and why a counter is adjusted when replicas change).

All times lie within `FARTHEST` of the epoch and rise.
"""

import numpy as np

from app.kernels.jit import inlined, kernel

_FIRST_PENALTY = 5000
"""Milliseconds, as long as no distance between samples is known."""


@inlined
def _is_float(floats, position):
    return floats.size == 0 or floats[position] != 0


@kernel
def penalty_merge(
    times_a, values_a, count_a, times_b, values_b, count_b, counter, floats_a, floats_b, times, values, picks
):
    """Merge replica B into A. `times` and `values` have room for both.

    :param counter: whether values are adjusted where the replicas change, so that they never fall.
    :param floats_a: uint8, 0 where A has a histogram, which is never adjusted; empty: all are floats.
    :param picks: int64, gets the position in A of each sample, or the inverted position in B; empty: not
        wanted.
    :returns: how many samples there are.
    """
    i, j, out = 0, 0, 0
    last_time = np.int64(0)
    known = False
    penalty_a, penalty_b = np.int64(0), np.int64(0)
    adjusted_a, adjusted_b = 0.0, 0.0
    use_a = True
    while True:
        was_a = use_a
        last_value, has_value = 0.0, False
        if use_a:
            if i < count_a and _is_float(floats_a, i):
                last_value, has_value = values_a[i] + adjusted_a, True
        elif j < count_b and _is_float(floats_b, j):
            last_value, has_value = values_b[j] + adjusted_b, True
        if known:
            while i < count_a and times_a[i] < last_time + 1 + penalty_a:
                i += 1
            while j < count_b and times_b[j] < last_time + 1 + penalty_b:
                j += 1
        if i >= count_a and j >= count_b:
            return out
        if i >= count_a:
            use_a, penalty_b, now = False, np.int64(0), times_b[j]
        elif j >= count_b:
            use_a, penalty_a, now = True, np.int64(0), times_a[i]
        else:
            use_a = times_a[i] <= times_b[j]
            now = times_a[i] if use_a else times_b[j]
            loss = 2 * (now - last_time) if known else np.int64(_FIRST_PENALTY)
            penalty_a, penalty_b = (np.int64(0), loss) if use_a else (loss, np.int64(0))
        last_time, known = now, True
        if counter and use_a != was_a and has_value:
            if i < count_a and _is_float(floats_a, i) and last_value > values_a[i] + adjusted_a:
                adjusted_a += last_value - (values_a[i] + adjusted_a)
            if j < count_b and _is_float(floats_b, j) and last_value > values_b[j] + adjusted_b:
                adjusted_b += last_value - (values_b[j] + adjusted_b)
        times[out] = last_time
        value, adjusted = (values_a[i], adjusted_a) if use_a else (values_b[j], adjusted_b)
        values[out] = value + adjusted if adjusted != 0.0 else value  # -0 + 0 would be 0
        if picks.size:
            picks[out] = i if use_a else ~j
        out += 1


@kernel
def chain_merge(times_a, values_a, count_a, times_b, values_b, count_b, times, values, picks):
    """Merge replica B into A one to one: of equal times A's sample stays. Parameters as above."""
    i, j, out = 0, 0, 0
    while i < count_a or j < count_b:
        use_a = j >= count_b or (i < count_a and times_a[i] <= times_b[j])
        if use_a:
            if j < count_b and times_b[j] == times_a[i]:
                j += 1
            times[out], values[out] = times_a[i], values_a[i]
        else:
            times[out], values[out] = times_b[j], values_b[j]
        if picks.size:
            picks[out] = i if use_a else ~j
        if use_a:
            i += 1
        else:
            j += 1
        out += 1
    return out


@kernel
def remove_resets(times, values, count):
    """Make a counter's samples a running total, in place, and drop every NaN; returns how many are left.

    Of samples with equal times the first counts; the others say what the counter really stood at, which is
    how downsampled chunks end (Thanos, pkg/compact/downsample, ApplyCounterResetsSeriesIterator).
    """
    out = 0
    total, last_value = 0.0, 0.0
    last_time = np.int64(0)
    for position in range(count):
        time, value = times[position], values[position]
        if np.isnan(value):
            continue
        if out == 0:
            total = value
        elif time > last_time:
            total += value - last_value if value >= last_value else value
        else:
            if time == last_time:
                last_value = value
            continue
        times[out], values[out] = time, total
        out += 1
        last_time, last_value = time, value
    return out
