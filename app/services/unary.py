"""How a unary method reads its request: one message, parsed, or a clear error."""

from typing import TypeVar

import betterproto2

from app.errors import CallError, Code
from app.rpc.model import ServerCall

Request = TypeVar("Request", bound=betterproto2.Message)


async def receive_only(call: ServerCall) -> bytes:
    """The single request message of a call that has one.

    :raises CallError: the client sent none.
    """
    message = await call.receive()
    if message is None:
        raise CallError(Code.INVALID_ARGUMENT, f"{call.method}: no request message was sent")
    return message


def parsed(kind: type[Request], message: bytes) -> Request:
    """`message` as `kind`; fields that `kind` does not know are kept.

    :raises CallError: the bytes are not a message of that kind.
    """
    try:
        return kind.parse(message)
    except Exception as error:  # betterproto2 raises whatever the broken bytes led it to
        raise CallError(Code.INVALID_ARGUMENT, f"not a {kind.__name__}: {error}") from error
