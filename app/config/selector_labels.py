"""Selector labels as Thanos's flag takes them: a name and a value quoted as Go quotes strings."""

import re

_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)=(?:"((?:[^"\\\n]|\\.)*)"|`([^`]*)`)')
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\\"'])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|.)"
)
_NAMED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def parse_selector_label(text: str) -> tuple[str, str]:
    """Name and value of ``name="value"``.

    :raises ValueError: with what is wrong.
    """
    match = _LABEL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a label")
    name, quoted, raw = match.groups()
    value = raw if quoted is None else unquoted(quoted)
    if not value:
        raise ValueError(f"{text!r}: an empty value is the same as no label")
    return name, value


def unquoted(quoted: str) -> str:
    """What stands between the quotes of a string of Go or PromQL, its escapes resolved."""
    # Bytes, since \x and octal escapes are bytes of UTF-8 in Go, not characters.
    content, at = bytearray(), 0
    for match in _ESCAPE.finditer(quoted):
        content += quoted[at : match.start()].encode()
        content += _escaped(match)
        at = match.end()
    content += quoted[at:].encode()
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{quoted!r} is not UTF-8 once its escapes are read") from None


def _escaped(match: re.Match[str]) -> bytes:
    named, octal, byte, short, long = match.groups()
    if named:
        return _NAMED.get(named, named).encode()
    digits, base = (octal, 8) if octal else (byte or short or long, 16)
    if digits is None:
        raise ValueError(f"{match.group()!r} is no escape")
    number = int(digits, base)
    if number > (0xFF if octal or byte else 0x10FFFF) or 0xD800 <= number <= 0xDFFF:
        raise ValueError(f"{match.group()!r} is out of range")
    return bytes([number]) if octal or byte else chr(number).encode()
