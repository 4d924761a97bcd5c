"""Native histograms of one layout through windows: selectors, rates, differences."""

import numpy as np

from app.engine.kernels.histograms import GAUGE, NOT_RESET, RESET
from app.engine.kernels.over_time import INSTANT
from app.engine.kernels.rates import DELTA, IDELTA, IRATE, extrapolation
from app.kernels.jit import float_kernel, kernel

# Of a histogram in a row of floats: count and sum, then the buckets, rising, the zero bucket among them.
ROW_COUNT, ROW_SUM, ROW_BUCKETS = 0, 1, 2
_ZERO_COUNT = 2

NOT_A_COUNTER, NOT_A_GAUGE = 1, 2
"""What there is to remark, bits."""
_POLL = 256
"""Steps between looks at the cancel flag."""


@kernel
def _spread(rows, layout, first, numbers, buckets, targets, starts, zero, dense):
    """Each histogram in a row of its own; see `native_windows`."""
    for at in range(rows.size):
        row = rows[at]
        dense[at] = 0.0
        if row < 0:
            continue
        dense[at, ROW_COUNT] = numbers[row, 0]
        dense[at, ROW_SUM] = numbers[row, 1]
        dense[at, zero] = numbers[row, _ZERO_COUNT]
        begin = starts[layout[row]]
        for place in range(starts[layout[row] + 1] - begin):
            dense[at, targets[begin + place]] = buckets[first[row] + place]


@kernel
def _is_reset(hint, now, before):
    """Whether a counter was reset between two histograms: its hint says so, or a count has become lower."""
    if hint == RESET:
        return True
    if hint == NOT_RESET:
        return False
    if now[ROW_COUNT] < before[ROW_COUNT]:
        return True
    for place in range(ROW_BUCKETS, now.size):
        if now[place] < before[place] or (now[place] == 0 and before[place] != 0):
            return True
    return False


@float_kernel
def native_windows(
    function, times, rows, layout, hint, first, numbers, buckets, targets, starts, zero, window, closed, ends,
    seconds, out, present, hints, cancel,
):  # fmt: skip
    """One series at all steps.

    :param function: INSTANT, or of `rates`: RATE, INCREASE, DELTA, IRATE, IDELTA; anything else: the last
        histogram of a window.
    :param times: (samples,) int64, rising; `rows`, (samples,) int64, the histogram of each, negative: a
        marker of staleness.
    :param layout, hint, first, numbers, buckets: of `Columns`.
    :param targets: int64, of each bucket of each layout its place in a row; of layout `n` they begin at
        `starts[n]`.
    :param zero: the place of the zero bucket.
    :param ends: (steps,) int64, where windows end, not falling.
    :param out: (steps, width) float64, `hints` (steps,) uint8, both undefined where `present` (uint8) is 0.
    :returns: what there is to remark.
    """
    count = 0
    for at in range(rows.size):  # only selectors of instants see markers
        count += rows[at] >= 0 or function == INSTANT
    kept = np.empty(count, np.int64)
    count = 0
    for at in range(rows.size):
        if rows[at] >= 0 or function == INSTANT:
            kept[count] = at
            count += 1
    times, rows = times[kept], rows[kept]
    width = out.shape[1]
    dense = np.empty((count, width))
    _spread(rows, layout, first, numbers, buckets, targets, starts, zero, dense)
    gauges = np.zeros(count + 1, np.int64)
    resets = np.empty(count, np.int64)
    found = 0
    if function <= IDELTA:
        for at in range(count):
            gauges[at + 1] = gauges[at] + (hint[rows[at]] == GAUGE)
            if at and _is_reset(hint[rows[at]], dense[at], dense[at - 1]):
                resets[found] = at
                found += 1
    remarks = 0
    i, j, passed = 0, 0, 0
    for step in range(ends.size):
        if step % _POLL == 0 and cancel[0]:
            return remarks
        high = ends[step]
        low = high - window
        while j < count and times[j] <= high:
            j += 1
        while i < j and times[i] <= low - closed:
            i += 1
        present[step] = 0
        if function > IDELTA:
            if j > i and rows[j - 1] >= 0:
                present[step] = 1
                out[step] = dense[j - 1]
                hints[step] = hint[rows[j - 1]]
            continue
        if j - i < 2:
            continue
        begin = j - 2 if function >= IRATE else i
        counter = function not in (DELTA, IDELTA)
        if counter and gauges[j] > gauges[begin]:
            remarks |= NOT_A_COUNTER
        if not counter and not (hint[rows[begin]] == GAUGE and hint[rows[j - 1]] == GAUGE):
            remarks |= NOT_A_GAUGE
        while passed < found and resets[passed] <= begin:
            passed += 1
        at = passed
        present[step] = 1
        hints[step] = GAUGE
        if counter and at < found and resets[at] == begin + 1:
            out[step] = dense[j - 1]  # the first of them says nothing
            at += 1
        else:
            for place in range(width):
                out[step, place] = dense[j - 1, place] - dense[begin, place]
        if function == IRATE:
            for place in range(width):
                out[step, place] /= (times[j - 1] - times[begin]) / 1000.0
        if function >= IRATE:
            continue
        while counter and at < found and resets[at] < j:
            for place in range(width):
                out[step, place] += dense[resets[at] - 1, place]
            at += 1
        factor = extrapolation(
            function,
            times[i],
            times[j - 1],
            dense[i, ROW_COUNT],
            out[step, ROW_COUNT],
            j - i,
            low,
            high,
            seconds,
        )
        for place in range(width):
            out[step, place] *= factor
    return remarks
