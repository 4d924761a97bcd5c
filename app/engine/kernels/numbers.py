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
_TEN, _HUNDRED = np.uint64(10), np.uint64(100)
_TENS = np.array([10**power for power in range(20)], np.uint64)
_PAIRS = np.frombuffer(b"".join(b"%02d" % pair for pair in range(100)), np.uint8)
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
    if digits >= 10:
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


@inlined
def _size(number):
    """How many digits a number has; 1 for 0."""
    size = 1
    if number >= _TENS[9]:  # most fractions have 15 digits and more
        size = 10
    while size < 20 and number >= _TENS[size]:
        size += 1
    return size


@inlined
def _write_padded(out, at, number, size):
    """Exactly `size` digits of a number that has no more; the position behind them."""
    place = at + size
    while place - at >= 2:
        quotient = number // _HUNDRED
        pair = np.int64(number - quotient * _HUNDRED) << 1
        place -= 2
        out[place] = _PAIRS[pair]
        out[place + 1] = _PAIRS[pair + 1]
        number = quotient
    if place > at:
        out[at] = np.uint8(number) + np.uint8(48)
    return at + size


@kernel
def write_whole(out, at, number):
    """A whole number, not negative; the position behind it."""
    return _write_padded(out, at, number, _size(number))


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
    size = _size(digits)
    point = size + power  # where the decimal point is, counted from the first digit
    if point - 1 < -6 or point - 1 >= 21:
        first = digits // _TENS[size - 1]
        at = _write_padded(out, at, first, 1)
        if size > 1:
            out[at] = 46
            at = _write_padded(out, at + 1, digits - first * _TENS[size - 1], size - 1)
        return _write_exponent(out, at, point - 1)
    if point <= 0:
        out[at] = 48
        out[at + 1] = 46
        at += 2
        for _ in range(-point):
            out[at] = 48
            at += 1
        return _write_padded(out, at, digits, size)
    if power >= 0:
        at = _write_padded(out, at, digits, size)
        for _ in range(power):
            out[at] = 48
            at += 1
        return at
    whole = digits // _TENS[-power]
    at = _write_padded(out, at, whole, point)
    out[at] = 46
    return _write_padded(out, at + 1, digits - whole * _TENS[-power], -power)


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
