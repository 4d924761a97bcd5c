"""How a unary method reads its request: one message, or a clear error."""

from app.errors import CallError, Code
from app.rpc.model import ServerCall


async def receive_only(call: ServerCall) -> bytes:
    """The single request message of a call that has one.

    :raises CallError: the client sent none.
    """
    message = await call.receive()
    if message is None:
        raise CallError(Code.INVALID_ARGUMENT, f"{call.method}: no request message was sent")
    return message
