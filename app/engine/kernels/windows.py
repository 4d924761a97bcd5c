"""All series of a block through a function of windows."""

import numpy as np

from app.engine.kernels import over_time, rates, statistics
from app.engine.kernels.samples import load_series, series_size, without_stale
from app.kernels.jit import kernel

_POLL = 16
"""Series between looks at the cancel flag."""

_INSTANT_LAST = over_time.TIMESTAMP
_instants = over_time.instants
_edges = over_time.edges
_sums = over_time.sums
_extremes = over_time.extremes
_rates = rates.rates
_instant_rates = rates.instant_rates
_statistics = statistics.statistics


@kernel
def _apply(
    function, times, values, frame, ends, instants, seconds, parameter, integers, floats, out, present
):
    """One series: the samples go to the family that the function belongs to."""
    window, closed = frame[0], frame[1]
    if function <= 2:
        _rates(function, times, values, ends, window, seconds, closed, integers, out, present)
    elif function <= 4:
        _instant_rates(function, times, values, ends, window, closed, out, present)
    elif function <= 11:
        _instants(function, times, values, ends, window, closed, out, present)
    elif function <= 27:
        _edges(function, times, values, ends, window, closed, integers, out, present)
    elif function <= 31:
        _sums(function, times, values, ends, window, closed, out, present)
    elif function <= 33:
        _extremes(function, times, values, ends, window, closed, integers, out, present)
    else:
        _statistics(function, times, values, ends, instants, window, closed, parameter, floats, out, present)


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
    instants,
    seconds,
    parameter,
    out,
    present,
    cancel,
):
    """The series `first` to `last` of a table of chunks, a row each.

    :param rules: of `load_series`.
    :param frame: (2,) int64: length of a window in milliseconds, and 1 where its first instant belongs to it.
    :param ends: (steps,) int64, where windows end; `instants`, `parameter`: see `statistics`.
    :param out: (last - first, steps) float64, undefined where `present` (uint8) is 0.
    :param cancel: (1,) uint8; anything but 0 makes the rest of the rows undefined.
    """
    capacity = 0
    for series in range(first, last):
        capacity = max(capacity, series_size(data, lanes, chunks, offset, series))
    times = np.empty((3, capacity), np.int64)
    bits = np.empty((3, capacity), np.uint64)
    integers = np.empty(capacity, np.int64)
    floats = np.empty(capacity, np.float64)
    for series in range(first, last):
        if series % _POLL == 0 and cancel[0]:
            return
        row, begin, stop = load_series(data, lanes, chunks, offset, length, rules, series, times, bits)
        own_times = times[row][begin:stop]
        own_values = bits[row][begin:stop].view(np.float64)
        count = own_times.size
        if function < 10 or function > 11:
            count = without_stale(own_times, own_values, count)
        _apply(
            function,
            own_times[:count],
            own_values[:count],
            frame,
            ends,
            instants,
            seconds,
            parameter,
            integers,
            floats,
            out[series - first],
            present[series - first],
        )


@kernel
def point_windows(
    function,
    times,
    values,
    starts,
    frame,
    ends,
    instants,
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
        if series % _POLL == 0 and cancel[0]:
            return
        _apply(
            function,
            times[starts[series] : starts[series + 1]],
            values[starts[series] : starts[series + 1]],
            frame,
            ends,
            instants,
            seconds,
            parameter,
            integers,
            floats,
            out[series],
            present[series],
        )
