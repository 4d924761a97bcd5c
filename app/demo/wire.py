"""The few protobuf fields of a Series answer, written and read as bytes.

The demo compares what arrives with what the stores hold byte by byte, hundreds of times a second. Message
objects would cost more than everything else together.
"""

from collections.abc import Iterator, Sequence

LENGTH_DELIMITED = 2
_PREFIX = 5  # of a gRPC message: compressed flag and length

# Width of the fields that are not length-delimited and not varints, by wire type.
_FIXED = {1: 8, 5: 4}


def varint(value: int) -> bytes:
    """`value` as protobuf writes an int64 or uint64."""
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field: a string, bytes or a message."""
    return varint(number << 3 | LENGTH_DELIMITED) + varint(len(payload)) + payload


def varint_field(number: int, value: int) -> bytes:
    """A varint field; nothing for 0, as proto3 writes it."""
    return varint(number << 3) + varint(value) if value else b""


def framed(messages: Sequence[bytes]) -> bytes:
    """`messages`, each behind its gRPC prefix."""
    return b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)


def unframed(data: bytes) -> Iterator[bytes]:
    """The messages in `data`.

    :raises ValueError: a message is compressed or cut off.
    """
    position = 0
    while position < len(data):
        start = position + _PREFIX
        end = start + int.from_bytes(data[position + 1 : start], "big")
        if data[position] != 0:
            raise ValueError("a message is compressed")
        if end > len(data):
            raise ValueError("the last message is cut off")
        yield data[start:end]
        position = end


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a varint is too long")


def fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """(number, payload) of each field of a message; an int for varints.

    :raises ValueError: these are not the bytes of a message.
    """
    position = 0
    try:
        while position < len(data):
            tag, position = _read_varint(data, position)
            kind = tag & 7
            if kind == 0:
                value, position = _read_varint(data, position)
                yield tag >> 3, value
                continue
            if kind == LENGTH_DELIMITED:
                size, position = _read_varint(data, position)
            elif kind in _FIXED:
                size = _FIXED[kind]
            else:
                raise ValueError(f"wire type {kind} does not exist")
            if position + size > len(data):
                raise ValueError("a field is cut off")
            yield tag >> 3, data[position : position + size]
            position += size
    except IndexError:
        raise ValueError("a field is cut off") from None
