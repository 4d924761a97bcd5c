"""Numbers in the texts of annotations and errors."""

import math

_EXPONENT_FROM = 6


def go_g(value: float) -> str:
    """As Go's ``%g`` prints: the fewest digits, with an exponent below 1e-4 and from 1e6 on."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return sign + "0"
    mantissa, _, power = f"{abs(value):.17e}".partition("e")
    for precision in range(17):
        mantissa, _, power = f"{abs(value):.{precision}e}".partition("e")
        if float(f"{mantissa}e{power}") == abs(value):
            break
    digits, exponent = mantissa.replace(".", ""), int(power)
    if exponent < -4 or exponent >= _EXPONENT_FROM:
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    return sign + whole + (f".{digits[exponent + 1 :]}" if len(digits) > exponent + 1 else "")
