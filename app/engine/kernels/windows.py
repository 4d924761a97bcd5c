"""All series of a block through a function of windows."""

import numpy as np

from app.engine.kernels.over_time import (
    AVERAGE,
    INSTANT,
    MAX,
    RESETS,
    TIMESTAMP,
    edges,
    extremes,
    latest,
    sums,
)
from app.engine.kernels.rates import DELTA, IDELTA, instant_rates, rates
from app.engine.kernels.samples import without_stale
from app.engine.kernels.series import decode_series
from app.engine.kernels.statistics import statistics
from app.engine.kernels.tables import MALFORMED
from app.engine.kernels.xor import sample_count
from app.kernels.jit import kernel


@kernel
def _apply(
    function, times, values, frame, ends, moments, seconds, parameter, integers, floats, out, present, cancel
):
    """One series: the samples go to the family that the function belongs to."""
    window, closed = frame[0], frame[1]
    if function <= DELTA:
        rates(function, times, values, ends, window, seconds, closed, integers, out, present)
    elif function <= IDELTA:
        instant_rates(function, times, values, ends, window, closed, out, present)
    elif function <= TIMESTAMP:
        latest(function, times, values, ends, window, closed, out, present)
    elif function <= RESETS:
        edges(function, times, values, ends, window, closed, integers, out, present)
    elif function <= AVERAGE:
        sums(function, times, values, ends, window, closed, out, present, cancel)
    elif function <= MAX:
        extremes(function, times, values, ends, window, closed, integers, out, present)
    else:
        statistics(
            function, times, values, ends, moments, window, closed, parameter, floats, out, present, cancel
        )


@kernel
def _room(data, lanes, chunks, offset, length, first, last):
    """The most samples of a series, and of one with several lanes; or the series that is MALFORMED."""
    largest, merged = np.int64(0), np.int64(0)
    for series in range(first, last):
        size = np.int64(0)
        for chunk in range(chunks[lanes[series]], chunks[lanes[series + 1]]):
            count = sample_count(data, offset[chunk], length[chunk])
            if count < 0:
                return np.int64(MALFORMED), series
            size += count
        largest = max(largest, size)
        if lanes[series + 1] - lanes[series] > 1:
            merged = max(merged, size)
    return largest, merged


@kernel
def chunk_windows(
    function,
    data,
    lanes,
    chunks,
    offset,
    length,
    rules,
    first,
    last,
    frame,
    ends,
    moments,
    seconds,
    parameter,
    out,
    present,
    cancel,
):
    """The series `first` to `last` of a table of chunks, a row each.

    :param rules: (3,) int64: start and end, milliseconds, and how lanes are merged; see `decode_series`.
    :param frame: (2,) int64: length of a window in milliseconds, and 1 where its first instant belongs to it.
    :param ends: (steps,) int64, where windows end; `moments`, `parameter`: see `statistics`.
    :param out: (last - first, steps) float64, undefined where `present` (uint8) is 0.
    :param cancel: (1,) uint8; anything but 0 makes the rest of the rows undefined.
    :return: the series that cannot be read, or -1.
    """
    capacity, merged = _room(data, lanes, chunks, offset, length, first, last)
    if capacity < 0:
        return merged
    times, values = np.empty(capacity, np.int64), np.empty(capacity, np.float64)
    spare_times, spare_values = np.empty((2, merged), np.int64), np.empty((2, merged), np.float64)
    integers = np.empty(capacity, np.int64)
    floats = np.empty(capacity, np.float64)
    for series in range(first, last):
        if cancel[0]:
            return np.int64(-1)
        count = decode_series(
            data, lanes, chunks, offset, length, series, rules[0], rules[1], rules[2], times, values, 0,
            spare_times, spare_values,
        )  # fmt: skip
        if count < 0:
            return np.int64(series)
        if function < INSTANT or function > TIMESTAMP:
            count = without_stale(times, values, count)
        _apply(
            function,
            times[:count],
            values[:count],
            frame,
            ends,
            moments,
            seconds,
            parameter,
            integers,
            floats,
            out[series - first],
            present[series - first],
            cancel,
        )
    return np.int64(-1)


@kernel
def point_windows(
    function,
    times,
    values,
    starts,
    frame,
    ends,
    moments,
    seconds,
    parameter,
    out,
    present,
    cancel,
):
    """Likewise for series whose samples are at hand, without staleness markers.

    :param starts: (series + 1,) int64; series `i` has the samples `starts[i]` to `starts[i + 1]`.
    """
    capacity = 0
    for series in range(starts.size - 1):
        capacity = max(capacity, starts[series + 1] - starts[series])
    integers = np.empty(capacity, np.int64)
    floats = np.empty(capacity, np.float64)
    for series in range(starts.size - 1):
        if cancel[0]:
            return
        _apply(
            function,
            times[starts[series] : starts[series + 1]],
            values[starts[series] : starts[series + 1]],
            frame,
            ends,
            moments,
            seconds,
            parameter,
            integers,
            floats,
            out[series],
            present[series],
            cancel,
        )
