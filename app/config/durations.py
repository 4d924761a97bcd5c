"""Durations as Prometheus writes them: ``15m``, ``1h30m``, ``500ms``, ``0``."""

import re

_UNITS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PATTERN = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit}(?![a-z]))?" for unit in _UNITS))
_LIMIT = 2**63 / 1e9
"""Seconds in the largest duration of Go, 292 years."""
_LONGEST = 200


def parse_duration(text: str) -> float:
    """Seconds of a duration; units from large to small, each at most once.

    :raises ValueError: with what is wrong.
    """
    if text == "0":
        return 0.0
    match = _PATTERN.fullmatch(text) if text else None
    if match is None or len(text) > _LONGEST:  # Python refuses to read numbers of thousands of digits
        raise ValueError(f"not a duration: {text!r}; write for example 500ms, 15m or 1h30m")
    seconds = sum(int(count) * _UNITS[unit] for unit, count in match.groupdict().items() if count)
    if seconds > _LIMIT:
        raise ValueError(f"duration out of range: {text!r}")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest form of `seconds`, to the millisecond: what `parse_duration` reads back."""
    rest = round(seconds * 1000)
    parts = []
    for unit, length in _UNITS.items():
        if unit in ("y", "w"):  # as Prometheus: these only where nothing remains
            if rest and rest % round(length * 1000) == 0:
                parts.append(f"{rest // round(length * 1000)}{unit}")
                rest = 0
            continue
        count, rest = divmod(rest, round(length * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
