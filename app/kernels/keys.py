"""Keys of label sets: bytes that compare as the labels do, pair by pair, name before value."""

import numpy as np

from app.kernels.jit import inlined

NO_ROOM = -2


@inlined
def write_key_part(data, start, end, keys, at):
    """One string of a key: 0 becomes 0 255, and 0 1 ends it, so that bytes compare as strings do."""
    if at + 2 * (end - start) + 2 > keys.size:
        return np.int64(NO_ROOM)
    for position in range(start, end):
        byte = data[position]
        keys[at] = byte
        at += 1
        if byte == 0:
            keys[at] = 255
            at += 1
    keys[at] = 0
    keys[at + 1] = 1
    return np.int64(at + 2)


@inlined
def compare(keys, a_start, a_end, b_start, b_end):
    """Negative, 0 or positive as bytes compare, shorter first."""
    size = min(a_end - a_start, b_end - b_start)
    for offset in range(size):
        left, right = keys[a_start + offset], keys[b_start + offset]
        if left != right:
            return np.int64(left) - np.int64(right)
    return np.int64(a_end - a_start) - np.int64(b_end - b_start)
