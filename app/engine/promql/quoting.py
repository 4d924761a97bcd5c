"""String literals: how Go, and with it Prometheus, quotes and reads them."""

import re

_SHORT = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_UNSHORT = {text[1]: char for char, text in _SHORT.items()} | {"\\": "\\"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)


def quoted(text: str, mark: str = '"') -> str:
    """As Go's ``%q`` writes it; `mark` is ``'`` for a single character."""
    return mark + "".join(_escaped(char, mark) for char in text) + mark


def _escaped(char: str, mark: str) -> str:
    if char in (mark, "\\"):
        return "\\" + char
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if char == " " or char.isprintable():
        return char
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, see `unquoted`
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquoted(literal: str) -> str:
    """The text of a literal with its marks; in backquotes nothing is escaped.

    :raises ValueError: an escape that means no character.
    """
    body = literal[1:-1]
    if literal[0] == "`" or "\\" not in body:
        return body
    data = bytearray()
    done = 0
    for found in _ESCAPE.finditer(body):
        data += body[done : found.start()].encode()
        data += _unescaped(found.group(1), literal[0])
        done = found.end()
    data += body[done:].encode()
    return data.decode("utf-8", "surrogateescape")


def is_text(text: str) -> bool:
    """Whether it is UTF-8: escapes can make strings that are not, kept as lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def utf8(text: str) -> str:
    """With U+FFFD in place of what is not UTF-8, as Go writes strings into JSON."""
    if text.isascii() or is_text(text):
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _unescaped(escape: str, mark: str) -> bytes:
    """Octal and ``\\x`` escapes are bytes, not characters, as in Go."""
    if escape in _UNSHORT:
        return _UNSHORT[escape].encode()
    if escape == mark:
        return mark.encode()
    if escape[0] == "x":
        return bytes([int(escape[1:], 16)])
    if escape[0] in "uU" and len(escape) > 1:
        return chr(int(escape[1:], 16)).encode()
    if len(escape) == 3:
        return bytes([int(escape, 8)])
    raise ValueError("invalid syntax")
