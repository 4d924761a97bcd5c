"""Matchers and times as Prometheus's HTTP API takes them. Pure."""

import re

_LEGACY_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def seconds(milliseconds: int) -> str:
    """A time as a parameter. Times that no date can have are cut off, as the API refuses them."""
    bounded = min(max(milliseconds, -62_135_596_800_000), 253_402_300_799_999)
    return f"{bounded / 1000:.3f}"


def escaped_name(name: str) -> str:
    """A label's name as a part of a path: what is no identifier is escaped, which needs Prometheus 3."""
    if _LEGACY_NAME.fullmatch(name):
        return name
    return "U__" + "".join(_escaped(character) for character in name)


def _escaped(character: str) -> str:
    if character == "_":
        return "__"
    return character if character.isascii() and character.isalnum() else f"_{ord(character):x}_"
