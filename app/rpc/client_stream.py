"""One call on the wire of a client's connection, and what an endpoint's RST_STREAM means for it."""

from typing import cast

from grpclib import protocol as grpclib
from h2.errors import ErrorCodes
from h2.events import StreamReset

from app.errors import CallError, Code, FailureKind
from app.rpc.inbound import InboundBuffer


class NotProcessed(CallError):
    """The peer never looked at the call: it can be made again without harm."""


class Moved(Exception):
    """This connection takes no new streams; the channel has, or makes, another."""


class ClientStream(grpclib.Stream):
    """Mutable: one call on the wire, changed by the protocol.

    :ivar failure: why the stream ended before its trailers; None while it is well.
    :ivar ended: the answer is complete.
    :ivar withheld: bytes of the window that the peer is told of when its first DATA has come.
    """

    buffer: InboundBuffer  # type: ignore[assignment]
    failure: CallError | None = None
    ended = False
    withheld = 0

    def fail(self, failure: CallError) -> None:
        """Wake whoever waits for this stream, with the reason.

        An answer that is complete stays so, read or not: servers reset a stream whose request they need not
        read to its end, and close a connection as soon as they have answered.
        """
        if not self.ended:
            if self.failure is None:
                self.failure = failure
            if self.id is not None:
                self.buffer.fail(self.failure)
        self.headers_received.set()
        self.trailers_received.set()
        self.window_updated.set()

    def __ended__(self) -> None:
        self.ended = True
        self.buffer.end()
        self.headers_received.set()
        self.trailers_received.set()
        self.window_updated.set()

    def __terminated__(self, reason: str) -> None:
        self.fail(CallError(Code.UNAVAILABLE, reason, FailureKind.CONNECTION_LOST))

    async def send_request_message(self, framed: bytes) -> None:
        """Send the only message of the request, behind its prefix, and close our side.

        :raises CallError: the stream failed meanwhile.
        """
        data = memoryview(framed)
        h2 = self._h2_connection
        assert self.id is not None
        while True:
            await self.connection.write_ready.wait()
            if self.failure is not None:
                raise self.failure
            if self.ended or not self.closable:
                return  # the peer answered without reading the request to its end
            window = min(h2.local_flow_control_window(self.id), h2.max_outbound_frame_size)
            if window <= 0:
                self.window_updated.clear()
                await self.window_updated.wait()
                continue
            chunk, data = data[:window], data[window:]
            h2.send_data(self.id, bytes(chunk), end_stream=not data)
            self.connection.flush()
            if not data:
                return


def reset_failure(event: StreamReset) -> CallError:
    code = event.error_code
    if not event.remote_reset:
        return CallError(Code.INTERNAL, "the endpoint broke HTTP/2 on this stream", FailureKind.PROTOCOL)
    if code == ErrorCodes.REFUSED_STREAM:
        return NotProcessed(Code.UNAVAILABLE, "the endpoint refused the stream")
    name = ErrorCodes(code).name if code in set(ErrorCodes) else str(code)
    mapped = {
        ErrorCodes.CANCEL: Code.CANCELLED,
        ErrorCodes.ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
        ErrorCodes.INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
        ErrorCodes.NO_ERROR: Code.INTERNAL,
    }.get(cast(ErrorCodes, code), Code.UNAVAILABLE)
    return CallError(mapped, f"the endpoint reset the stream: {name}", FailureKind.PROTOCOL)
