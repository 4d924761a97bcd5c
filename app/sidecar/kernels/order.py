"""Series put in the order of the labels that go out, while they stream by.

Prometheus sends series in the order of their own labels. Adding labels changes that order in one way only: a
series whose labels are the beginning of another's may move behind it ({a} < {a, b}, but {a, b, m} < {a, m}).
Those others follow directly. So a stack is enough: what is on it waits for smaller ones to pass; when a
larger one comes, nothing smaller can come any more. It is as deep as label sets are nested in each other.
"""

import numpy as np

from app.kernels.jit import inlined, kernel
from app.kernels.keys import compare
from app.sidecar.kernels.tables import OUT_OF_ORDER


@inlined
def _same_labels(data, series, a, b):
    size = series[a, 1] - series[a, 0]
    if size != series[b, 1] - series[b, 0]:
        return False
    start, other = series[a, 0], series[b, 0]
    at = 0
    while at < size and data[start + at] == data[other + at]:
        at += 1
    return at == size


@kernel
def group(data, series, count, piece, wanted, groups):
    """Rows of one series that came in several frames, put together.

    :param piece: bytes of chunks from which on a series goes out in pieces.
    :param wanted: bool (series,), the others are left out.
    :param groups: int64 (groups, 2), written: the first row of each and the row behind its last.
    :returns: how many groups.
    """
    found = 0
    size = np.int64(0)
    for row in range(count):
        if not wanted[row]:
            continue
        last = groups[found - 1, 1] - 1 if found else -1
        if (
            found
            and last == row - 1
            and size + series[row, 9] <= piece
            and _same_labels(data, series, row, last)
        ):
            groups[found - 1, 1] = row + 1
            size += series[row, 9]
            continue
        groups[found, 0] = row
        groups[found, 1] = row + 1
        size = series[row, 9]
        found += 1
    return found


@inlined
def _compare_last(keys, start, end, last_key):
    size = min(end - start, last_key.size)
    for offset in range(size):
        if keys[start + offset] != last_key[offset]:
            return np.int64(keys[start + offset]) - np.int64(last_key[offset])
    return np.int64(end - start) - np.int64(last_key.size)


@kernel
def order(series, keys, groups, count, last_key, final, stack, out):
    """Which groups go out now, and in which order.

    :param last_key: uint8, of the series that went out last; empty: none yet.
    :param final: whether nothing comes behind these.
    :param stack: int64 (groups,), written: those that wait.
    :param out: int64 (groups,), written.
    :returns: how many go out, how many wait, and 0 or OUT_OF_ORDER: one should have gone out before another
        that has.
    """
    sent = depth = 0
    for current in range(count + 1 if final else count):
        row = groups[current, 0] if current < count else np.int64(-1)
        while depth > 0:
            top = groups[stack[depth - 1], 0]
            start, end = series[top, 6], series[top, 7]
            if row >= 0 and compare(keys, start, end, series[row, 6], series[row, 7]) > 0:
                break
            if sent == 0:
                late = _compare_last(keys, start, end, last_key) < 0
            else:
                before = groups[out[sent - 1], 0]
                late = compare(keys, start, end, series[before, 6], series[before, 7]) < 0
            if late:
                return sent, depth, np.int64(OUT_OF_ORDER)
            out[sent] = stack[depth - 1]
            sent += 1
            depth -= 1
        if row >= 0:
            stack[depth] = current
            depth += 1
    return sent, depth, np.int64(0)
