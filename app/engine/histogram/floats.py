"""Floats as Prometheus computes and prints them: division, compensated sums, logarithms, formats.

Prometheus runs on Go, whose `math.Log2` and `math.Exp2` differ from the C library's in the last bit. The two
here follow the same published algorithms (FreeBSD's e_log.c and e_exp.c), so that a quantile here is the same
float, and prints the same digits.
"""

import math
import struct
from decimal import Decimal

LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
LOG_ODD = (
    6.666666666666735130e-01,
    2.857142874366239149e-01,
    1.818357216161805012e-01,
    1.479819860511658591e-01,
)
LOG_EVEN = (3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01)
EXP = (
    1.66666666666666657415e-01,
    -2.77777777770155933842e-03,
    6.61375632143793436117e-05,
    -1.65339022054652515390e-06,
    4.13813679705723846039e-08,
)
STALE_BITS = 0x7FF0000000000002
"""The bits of the NaN with which Prometheus marks the end of a series."""
_SMALLEST_NORMAL = 2.0**-1022
_LARGEST = math.ldexp(1 - 2**-53, 1024)


def divide(dividend: float, divisor: float) -> float:
    """IEEE 754 division, in which dividing by zero is infinite or NaN, and never an error."""
    if divisor != 0:
        return dividend / divisor
    if dividend != dividend or dividend == 0:
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


def increment(value: float, total: float, rest: float) -> tuple[float, float]:
    """Kahan's summation with Neumaier's improvement.

    :param rest: what rounding has taken from `total` so far.
    :return: the new total, and the new rest, which the caller adds at the very end.
    """
    new = total + value
    if math.isinf(new):
        return new, 0.0
    if abs(total) >= abs(value):
        return new, rest + ((total - new) + value)
    return new, rest + ((value - new) + total)


def bits(value: float) -> int:
    """The 64 bits, by which two NaNs can differ."""
    return int.from_bytes(struct.pack(">d", value), "big")


def close(a: float, b: float, tolerance: float) -> bool:
    """Whether they differ by less than `tolerance` times the sum of their sizes; two NaNs are close when both
    or neither are the staleness marker."""
    if a != a or b != b:
        return a != a and b != b and (bits(a) == STALE_BITS) == (bits(b) == STALE_BITS)
    if a == b:
        return True
    size = abs(a) + abs(b)
    distance = abs(a - b)
    if a == 0 or b == 0 or size < _SMALLEST_NORMAL:
        return distance < tolerance * _SMALLEST_NORMAL
    return distance / min(size, _LARGEST) < tolerance


def _log(value: float) -> float:
    """Natural logarithm of a float in `[0.5, 1)`."""
    fraction, exponent = value, 0.0
    if fraction <= 0.5**0.5:
        fraction, exponent = fraction * 2, -1.0
    f = fraction - 1
    s = f / (2 + f)
    s2 = s * s
    s4 = s2 * s2
    odd = s2 * (LOG_ODD[0] + s4 * (LOG_ODD[1] + s4 * (LOG_ODD[2] + s4 * LOG_ODD[3])))
    even = s4 * (LOG_EVEN[0] + s4 * (LOG_EVEN[1] + s4 * LOG_EVEN[2]))
    half = 0.5 * f * f
    return exponent * LN2_HIGH - ((half - (s * (half + (odd + even)) + exponent * LN2_LOW)) - f)


def log2(value: float) -> float:
    """Binary logarithm; minus infinity of zero, NaN of a negative."""
    if value != value or value < 0:
        return math.nan
    if value == 0:
        return -math.inf
    if math.isinf(value):
        return value
    fraction, exponent = math.frexp(value)
    if fraction == 0.5:
        return float(exponent - 1)
    return _log(fraction) * (1 / math.log(2)) + exponent


def exp2(value: float) -> float:
    """Two to the power of `value`; infinity past the largest float."""
    if value != value:
        return value
    if value > 1.0239999999999999e03:
        return math.inf
    if value < -1.0740e03:
        return 0.0
    whole = int(value + 0.5) if value > 0 else int(value - 0.5)
    part = value - whole
    high, low = part * LN2_HIGH, -part * LN2_LOW
    r = high - low
    t = r * r
    c = r - t * (EXP[0] + t * (EXP[1] + t * (EXP[2] + t * (EXP[3] + t * EXP[4]))))
    return scale(1 - ((low - (r * c) / (2 - c)) - high), whole)


def scale(fraction: float, exponent: int) -> float:
    """`fraction * 2**exponent`; infinity past the largest float."""
    try:
        return math.ldexp(fraction, exponent)
    except OverflowError:
        return math.copysign(math.inf, fraction)


def to_api(value: float) -> str:
    """As in the HTTP API's answers: fewest digits, an exponent below 1e-6 and from 1e21."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if value != 0 and not 1e-6 <= abs(value) < 1e21:
        # repr gives these an exponent anyway, of at least two digits, as Go does.
        return text
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def to_general(value: float) -> str:
    """As Go's `%g` and `%v` print: fewest digits, an exponent below 1e-4 and from 1e6."""
    if value != value or math.isinf(value) or value == 0 or 1e-4 <= abs(value) < 1e6:
        return to_api(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    exponent += len(digits) - 1
    first, others = digits[0], "".join(map(str, digits[1:]))
    mantissa = f"{'-' * sign}{first}.{others}" if others else f"{'-' * sign}{first}"
    return f"{mantissa}e{exponent:+03d}"
