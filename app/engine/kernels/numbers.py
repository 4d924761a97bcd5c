"""Floats to the shortest text that means them.

The algorithm is Raffaello Giulietti's Schubfach ("The Schubfach way to render doubles", 2020); the layout is
that of Prometheus's JSON: Go's ``'f'`` format, and ``'e'`` below 1e-6 and from 1e21 on.
"""

import numpy as np

from app.engine.kernels.words import product_high
from app.kernels.jit import inlined, kernel

LONGEST = 25
"""Bytes of the longest number: ``-`` 17 digits, a point and ``0.00000`` or ``e-308``."""
_LEAST = -292
_LOW_63 = np.uint64((1 << 63) - 1)
_TEN = np.uint64(10)
_HIDDEN = np.uint64(1 << 52)


def _powers() -> "tuple[np.ndarray, np.ndarray]":
    """Upper and lower 63 bits of 126-bit approximations of powers of ten, from 10**-292 on."""
    upper, lower = [], []
    for exponent in range(_LEAST, 325):
        shift = (exponent * 913124641741 >> 38) - 125
        if exponent >= 0:
            power = 10**exponent
            approximation = (power >> shift if shift >= 0 else power << -shift) + 1
        else:
            approximation = (1 << -shift) // 10**-exponent + 1
        upper.append(approximation >> 63)
        lower.append(approximation & ((1 << 63) - 1))
    return np.array(upper, np.uint64), np.array(lower, np.uint64)


POWERS_UPPER, POWERS_LOWER = _powers()


@inlined
def _rounded(upper, lower, factor):
    """The product with a power of ten, its last bit sticky."""
    middle = product_high(lower, factor)
    low = upper * factor
    sum_low = (low >> np.uint64(1)) + middle
    high = product_high(upper, factor) + (sum_low >> np.uint64(63))
    return high | (((sum_low & _LOW_63) + _LOW_63) >> np.uint64(63))


@kernel
def shortest(bits):
    """Digits and the power of ten that they are multiplied with; of a float above zero and finite."""
    fraction = bits & np.uint64(0xFFFFFFFFFFFFF)
    raw = np.int64((bits >> np.uint64(52)) & np.uint64(0x7FF))
    if raw > 0:
        mantissa, exponent = fraction | _HIDDEN, raw - 1075
    else:
        mantissa, exponent = fraction, np.int64(-1074)
    if -53 < exponent <= 0:
        whole = mantissa >> np.uint64(-exponent)
        if whole << np.uint64(-exponent) == mantissa:
            return whole, np.int64(0)
    odd = mantissa & np.uint64(1)
    center = mantissa << np.uint64(2)
    right = center + np.uint64(2)
    if mantissa != _HIDDEN or exponent == -1074:
        left = center - np.uint64(2)
        power = (exponent * 661971961083) >> 41
    else:
        left = center - np.uint64(1)
        power = (exponent * 661971961083 - 274743187321) >> 41
    shift = np.uint64(exponent + ((-power * 913124641741) >> 38) + 2)
    upper, lower = POWERS_UPPER[-power - _LEAST], POWERS_LOWER[-power - _LEAST]
    value = _rounded(upper, lower, center << shift)
    low = _rounded(upper, lower, left << shift) + odd
    high = _rounded(upper, lower, right << shift)
    digits = value >> np.uint64(2)
    if digits >= 100:
        short = _TEN * product_high(digits, np.uint64(1844674407370955168))
        next_short = short + _TEN
        below = low <= short << np.uint64(2)
        above = (next_short << np.uint64(2)) + odd <= high
        if below != above:
            return short if below else next_short, power
    following = digits + np.uint64(1)
    below = low <= digits << np.uint64(2)
    above = (following << np.uint64(2)) + odd <= high
    if below != above:
        return digits if below else following, power
    distance = np.int64(value - ((digits + following) << np.uint64(1)))
    nearer = distance < 0 or (distance == 0 and digits & np.uint64(1) == 0)
    return digits if nearer else following, power


@kernel
def write_whole(out, at, number):
    """A whole number, not negative; the position behind it."""
    size = 1
    limit = _TEN
    while size < 20 and number >= limit:
        size += 1
        limit *= _TEN
    place = at + size
    while place > at:
        place -= 1
        quotient = number // _TEN
        out[place] = np.uint8(number - quotient * _TEN) + np.uint8(48)
        number = quotient
    return at + size


@kernel
def _write_exponent(out, at, exponent):
    out[at] = 101
    out[at + 1] = 45 if exponent < 0 else 43
    exponent = abs(exponent)
    at += 2
    if exponent < 10:
        out[at] = 48
        at += 1
    return write_whole(out, at, np.uint64(exponent))


@kernel
def _write_digits(out, at, digits, power):
    """Lay out `digits` times ten to the `power`."""
    while digits % _TEN == 0:
        digits //= _TEN
        power += 1
    if power >= 0 and power <= 5:  # most often a whole number
        start = at
        at = write_whole(out, at, digits)
        if at - start + power <= 21:
            for _ in range(power):
                out[at] = 48
                at += 1
            return at
        at = start
    end = write_whole(out, at, digits)
    size = end - at
    point = size + power  # where the decimal point is, counted from the first digit
    if point - 1 < -6 or point - 1 >= 21:
        if size > 1:
            for place in range(end, at + 1, -1):
                out[place] = out[place - 1]
            out[at + 1] = 46
            end += 1
        return _write_exponent(out, end, point - 1)
    if point <= 0:
        shift = 2 - point
        for place in range(end - 1, at - 1, -1):
            out[place + shift] = out[place]
        out[at] = 48
        out[at + 1] = 46
        for place in range(at + 2, at + shift):
            out[place] = 48
        return end + shift
    if point >= size:
        for place in range(end, at + point):
            out[place] = 48
        return at + point
    for place in range(end, at + point, -1):
        out[place] = out[place - 1]
    out[at + point] = 46
    return end + 1


@kernel
def write_float(out, at, bits):
    """The text of a float, given by its bits; the position behind it. There must be room for `LONGEST`."""
    magnitude = bits & _LOW_63
    if magnitude > np.uint64(0x7FF0000000000000):
        out[at], out[at + 1], out[at + 2] = 78, 97, 78
        return at + 3
    if bits >> np.uint64(63):
        out[at] = 45
        at += 1
    elif magnitude == np.uint64(0x7FF0000000000000):
        out[at] = 43
        at += 1
    if magnitude == np.uint64(0x7FF0000000000000):
        out[at], out[at + 1], out[at + 2] = 73, 110, 102
        return at + 3
    if magnitude == 0:
        out[at] = 48
        return at + 1
    digits, power = shortest(magnitude)
    return _write_digits(out, at, digits, power)
