"""Numbers and durations as they stand in queries."""

import math
import re

from app.engine.promql.quoting import quoted

_INTEGER = re.compile(
    r"0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|0[bB][01]+|0[oO]?_?[0-7]+(?:_[0-7]+)*|[1-9][0-9]*(?:_[0-9]+)*|0"
)
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_DECIMAL = re.compile(rf"(?:{_DIGITS}\.?|(?:{_DIGITS})?\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_PAIR = re.compile(r"([0-9]+)([^0-9]*)")
_DURATION = re.compile(
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?"
)
_MILLISECONDS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_UNITS = ("y", "w", "d", "h", "m", "s", "ms")
_LONGEST = 400
"""Characters of a number past which none is meant, and Python itself refuses integers."""


def number(text: str) -> float:
    """As Go reads it: an integer in its notations (``0x1f``, ``017``, ``1_000``), else a float.

    :raises ValueError: with Prometheus's text.
    """
    lower = text.lower()
    if lower in ("inf", "nan"):
        return float(lower)
    if len(text) > _LONGEST:
        raise ValueError(
            f'error parsing number: strconv.ParseFloat: parsing "{text[:20]}...": value out of range'
        )
    if _INTEGER.fullmatch(text) and (value := _integer(text)) is not None:
        return float(value)
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f'error parsing number: strconv.ParseFloat: parsing "{text}": invalid syntax')
    found = float(text.replace("_", ""))
    if math.isinf(found):
        raise ValueError(f'error parsing number: strconv.ParseFloat: parsing "{text}": value out of range')
    return found


def _integer(text: str) -> int | None:
    """None past 64 bits, or where a leading zero makes it no octal number: Go then reads a float."""
    try:
        octal = re.fullmatch(r"0[0-7_]+", text)
        value = int(text.replace("_", ""), 8) if octal else int(text, 0)
    except ValueError:
        return None
    return value if value < 2**63 else None


def duration_ms(text: str) -> int:
    """Milliseconds of ``1h30m``.

    :raises ValueError: with Prometheus's text.
    """
    if text == "0":
        return 0
    if not text:
        raise ValueError("empty duration string")
    found = _DURATION.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise ValueError(_fault(text))
    value = sum(int(count) * unit for count, unit in zip(found.groups(), _MILLISECONDS, strict=True) if count)
    if value * 1_000_000 >= 2**63:
        raise ValueError("duration out of range")
    return value


def _fault(text: str) -> str:
    """What is wrong with a duration: an order, or a unit that does not exist."""
    last = -1
    for _, unit in _PAIR.findall(text):
        if unit and unit not in _UNITS:
            return f"unknown unit {quoted(unit)} in duration {quoted(text)}"
        if not unit or _UNITS.index(unit) <= last:
            break
        last = _UNITS.index(unit)
    return f"not a valid duration string: {quoted(text)}"


def duration_seconds(text: str) -> float:
    """Seconds of ``1h30m``, for where a duration stands as a number."""
    return duration_ms(text) / 1000


def duration_text(milliseconds: int) -> str:
    """The shortest text that means it; years and weeks only where they are all of it."""
    if milliseconds == 0:
        return "0s"
    parts, rest = [], milliseconds
    for unit, size in zip(_UNITS, _MILLISECONDS, strict=True):
        if unit in ("y", "w") and rest % size:
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
