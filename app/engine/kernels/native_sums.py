"""Native histograms of one layout summed into groups, in the order of the rows."""

import numpy as np

from app.engine.kernels.compensated import plus
from app.kernels.jit import float_kernel


@float_kernel
def sum_natives(data, present, hints, groups, total, lost, count, seen, cancel):
    """Add the rows of a block to their groups.

    :param data: (rows, steps, width) float64, undefined where `present` (uint8) is 0; `hints` are uint8.
    :param total: (groups, steps, width) float64, as `lost`, what rounding has taken; zeros to begin with, as
        `count`, int32, and `seen`, uint8, bits by the numbers of hints.
    """
    for row in range(data.shape[0]):
        if cancel[0]:
            return
        group = groups[row]
        for step in range(data.shape[1]):
            if not present[row, step]:
                continue
            before = count[group, step]
            count[group, step] = before + 1
            seen[group, step] |= np.uint8(1) << hints[row, step]
            if before == 0:
                total[group, step] = data[row, step]
                continue
            for place in range(data.shape[2]):
                total[group, step, place], lost[group, step, place] = plus(
                    data[row, step, place], total[group, step, place], lost[group, step, place]
                )
