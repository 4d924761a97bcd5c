"""SeriesResponse messages taken apart and put together in plain Python, where few are."""

from collections.abc import Iterator, Sequence

WARNING = 2

Other = tuple[int, bytes]
"""What is not a series: field number (0: not known), and the text of a warning or a SeriesResponse."""


def framed(message: bytes) -> bytes:
    """A message behind its gRPC prefix."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def number(place: int, value: int) -> bytes:
    """A field of an int64, an enum or a bool; nothing where it is 0.

    :param place: the number of the field.
    """
    return varint(place << 3) + varint(value & 2**64 - 1) if value else b""


def varint(value: int) -> bytes:
    """An unsigned varint."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def warning(text: str) -> bytes:
    """A framed SeriesResponse that carries a warning."""
    return framed(field(WARNING, text.encode()))


def other_messages(others: Sequence[Other]) -> Iterator[bytes]:
    """Framed SeriesResponse messages of what a scan found beside series."""
    for number, content in others:
        yield framed(field(WARNING, content) if number == WARNING else content)
