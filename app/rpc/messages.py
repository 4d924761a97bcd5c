"""Messages of the control plane, parsed strictly."""

from typing import TypeVar

import betterproto2

from app.errors import CallError, Code

M = TypeVar("M", bound=betterproto2.Message)

_FIXED = {1: 8, 5: 4}
"""Sizes of the wire types that have one."""


def parsed(kind: type[M], message: bytes, *, failure: Code = Code.INVALID_ARGUMENT) -> M:
    """`message` as `kind`; fields that `kind` does not know are kept.

    The generated parser takes a message that is cut short for a shorter one, so that is looked at first.

    :param failure: the status of the error: INVALID_ARGUMENT for what a client sent.
    :raises CallError: the bytes are not a message of that kind.
    """
    try:
        if not is_whole(message):
            raise ValueError("it is cut short or no Protobuf at all")
        return kind.parse(message)
    except Exception as error:  # betterproto2 raises whatever the broken bytes led it to
        raise CallError(failure, f"not a {kind.__name__}: {error}") from error


def is_whole(message: bytes) -> bool:
    """Whether the fields of `message`, one after the other, end where it ends."""
    at, size = 0, len(message)
    while at < size:
        tag, at = _varint(message, at)
        wire_type = tag & 7
        if at < 0 or tag >> 3 == 0:
            return False
        if wire_type == 0:
            _, at = _varint(message, at)
        elif wire_type == 2:
            length, at = _varint(message, at)
            at = at + length if at >= 0 else at
        elif wire_type in _FIXED:
            at += _FIXED[wire_type]
        else:
            return False
        if at < 0:
            return False
    return at == size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Value and the position behind it; the position is negative when the varint is cut short or too long."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    return 0, -1
