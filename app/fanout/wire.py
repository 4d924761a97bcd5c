"""SeriesResponse messages taken apart and put together in plain Python, where few are."""

from collections.abc import Iterator, Sequence

import betterproto2

WARNING, HINTS = 2, 3


def framed(message: bytes) -> bytes:
    """A message behind its gRPC prefix."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """An unsigned varint."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message_fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, value (b"" unless length-delimited) and raw bytes of each field, in order."""
    for found in betterproto2.parse_fields(message):
        value = found.value if found.wire_type == betterproto2.WIRE_LEN_DELIM else b""
        yield found.number, value, found.raw


def label_name(label: bytes) -> bytes:
    """The name in a Label message."""
    return next((value for number, value, _ in message_fields(label) if number == 1), b"")


def warning(text: str) -> bytes:
    """A framed SeriesResponse that carries a warning."""
    return framed(field(WARNING, text.encode()))


def batch_messages(
    entries: Sequence[bytes], batch: int, others: Sequence[tuple[int, bytes]] = ()
) -> Iterator[bytes]:
    """Framed SeriesResponse messages.

    :param entries: series with their tag and length.
    :param batch: 0: one series a message; otherwise all in one.
    :param others: what the scan found beside series: (field number, text of a warning or whole message).
    """
    for number, content in others:
        yield framed(field(WARNING, content) if number == WARNING else content)
    if batch and entries:
        yield framed(field(4, b"".join(entries)))
    elif not batch:
        for entry in entries:
            yield framed(entry)
