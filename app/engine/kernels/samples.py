"""The samples of one series as functions of windows want them."""

import numpy as np

from app.kernels.jit import kernel

STALE = np.uint64(0x7FF0000000000002)


@kernel
def without_stale(times, values, count):
    """Close the gaps that staleness markers leave, in place; how many samples are left."""
    marked = 0
    for at in range(count):
        marked += values[at] != values[at]
    if marked == 0:
        return count
    bits = values.view(np.uint64)
    kept = 0
    for at in range(count):
        if bits[at] != STALE:
            times[kept] = times[at]
            bits[kept] = bits[at]
            kept += 1
    return kept
