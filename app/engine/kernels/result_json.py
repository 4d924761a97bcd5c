"""A matrix to JSON."""

import numpy as np

from app.engine.kernels.numbers import LONGEST, write_float, write_whole
from app.kernels.jit import kernel
from app.kernels.walk import copy

_HEAD = np.frombuffer(b'{"metric":{', np.uint8)
_VALUES = np.frombuffer(b'},"values":[', np.uint8)
_VALUE = np.frombuffer(b'},"value":', np.uint8)
_FIXED = 64
"""Bytes around the labels of a row."""


@kernel
def write_time(out, at, time):
    """Milliseconds as seconds: with three decimals, or none."""
    if time < 0:
        out[at] = 45
        at += 1
        time = -time
    at = write_whole(out, at, np.uint64(time // 1000))
    rest = time % 1000
    if rest:
        out[at] = 46
        out[at + 1] = np.uint8(48 + rest // 100)
        out[at + 2] = np.uint8(48 + rest // 10 % 10)
        out[at + 3] = np.uint8(48 + rest % 10)
        at += 4
    return at


@kernel
def _head_size(names, ids, starts):
    size = _FIXED
    for column in range(ids.size):
        if ids[column]:
            size += starts[names[column] + 1] - starts[names[column]] + 2
            size += starts[ids[column] + 1] - starts[ids[column]]
    return size


@kernel
def _write_head(out, at, names, ids, texts, starts, single):
    at = copy(out, at, _HEAD, 0, _HEAD.size)
    first = True
    for column in range(ids.size):
        text = ids[column]
        if text == 0:
            continue
        if not first:
            out[at] = 44
            at += 1
        first = False
        at = copy(out, at, texts, starts[names[column]], starts[names[column] + 1])
        out[at] = 58
        at = copy(out, at + 1, texts, starts[text], starts[text + 1])
    if single:
        return copy(out, at, _VALUE, 0, _VALUE.size)
    return copy(out, at, _VALUES, 0, _VALUES.size)


@kernel
def write_times(times, out, starts):
    """``[`` time ``,"`` of every step, as points begin; `starts` (steps + 1,) int64 gets where each is."""
    at = 0
    for step in range(times.size):
        starts[step] = at
        out[at] = 91
        at = write_time(out, at + 1, times[step])
        out[at] = 44
        out[at + 1] = 34
        at += 2
    starts[times.size] = at


@kernel
def write_rows(
    order, limit, bits, present, names, ids, texts, text_starts, times, time_starts, single, state, out
):
    """Write as many points as there is room for, going on where the last call stopped.

    :param order: (rows,) int64, which rows and in which order; each has at least one value.
    :param limit: how many of `order` are to be written.
    :param bits: (series, steps) uint64, the values; undefined where `present` (uint8) is 0.
    :param names: (columns,) int32 and `ids` (series, columns) int32: labels, as positions in `texts`;
        0: none.
    :param texts: quoted and escaped, text `i` from `text_starts[i]` to `text_starts[i + 1]`.
    :param times: of `write_times`.
    :param single: whether a row has one ``value`` rather than ``values``.
    :param state: (3,) int64: the next row in `order`, the next step of it, -1 before its labels, and how
        many points of it are written.
    :return: bytes written; 0 with rows left means that `out` is too small for the labels of the next.
    """
    at = 0
    while state[0] < limit:
        row = order[state[0]]
        if state[1] < 0:
            if at + _head_size(names, ids[row], text_starts) > out.size:
                return at
            if state[0]:
                out[at] = 44
                at += 1
            at = _write_head(out, at, names, ids[row], texts, text_starts, single)
            state[1], state[2] = 0, 0
        step = state[1]
        while step < bits.shape[1]:
            if present[row, step]:
                start, end = time_starts[step], time_starts[step + 1]
                if at + end - start + LONGEST + 8 > out.size:
                    state[1] = step
                    return at
                if state[2]:
                    out[at] = 44
                    at += 1
                at = copy(out, at, times, start, end)
                at = write_float(out, at, bits[row, step])
                out[at] = 34
                out[at + 1] = 93
                at += 2
                state[2] += 1
            step += 1
        if not single:
            out[at] = 93
            at += 1
        out[at] = 125
        at += 1
        state[0] += 1
        state[1] = -1
    return at
