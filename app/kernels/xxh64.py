"""xxHash's 64-bit function, as Thanos hashes chunks and label sets with it.

Source: the xxHash specification, "XXH64 algorithm description".
"""

import numpy as np

from app.kernels.bits import load_le64
from app.kernels.jit import inlined, kernel

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)


@inlined
def _rotated(value, bits):
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@inlined
def _word(data, at, size):
    """`size` bytes, little-endian."""
    value = np.uint64(0)
    for offset in range(size):
        value |= np.uint64(data[at + offset]) << np.uint64(8 * offset)
    return value


@inlined
def _round(lane, word):
    return _rotated(lane + word * _P2, 31) * _P1


@inlined
def _merged(value, lane):
    return (value ^ _round(np.uint64(0), lane)) * _P1 + _P4


@kernel
def xxh64(data, start, end):
    """The hash of ``data[start:end]`` with seed 0, as uint64."""
    size = end - start
    at = start
    if size >= 32:
        first, second, third, fourth = _P1 + _P2, _P2, np.uint64(0), np.uint64(0) - _P1
        while at + 32 <= end:
            first = _round(first, load_le64(data, at))
            second = _round(second, load_le64(data, at + 8))
            third = _round(third, load_le64(data, at + 16))
            fourth = _round(fourth, load_le64(data, at + 24))
            at += 32
        value = _rotated(first, 1) + _rotated(second, 7) + _rotated(third, 12) + _rotated(fourth, 18)
        value = _merged(value, first)
        value = _merged(value, second)
        value = _merged(value, third)
        value = _merged(value, fourth)
    else:
        value = _P5
    value += np.uint64(size)
    while at + 8 <= end:
        value = _rotated(value ^ _round(np.uint64(0), load_le64(data, at)), 27) * _P1 + _P4
        at += 8
    if at + 4 <= end:
        value = _rotated(value ^ (_word(data, at, 4) * _P1), 23) * _P2 + _P3
        at += 4
    while at < end:
        value = _rotated(value ^ (np.uint64(data[at]) * _P5), 11) * _P1
        at += 1
    value = (value ^ (value >> np.uint64(33))) * _P2
    value = (value ^ (value >> np.uint64(29))) * _P3
    return value ^ (value >> np.uint64(32))
