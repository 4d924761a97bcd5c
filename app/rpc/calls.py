"""One call on a channel: opened, made again when the endpoint never processed it, read, and ended.

When is a call made again? When the endpoint said that it did not process it (above the last stream id of a
GOAWAY, or REFUSED_STREAM), as gRPC does; and, once, when the connection was lost before the first header of
an answer: everything a querier asks is a read, so asking twice does no harm.
"""

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from grpclib.metadata import USER_AGENT, decode_grpc_message, encode_metadata, encode_timeout

from app.errors import CallError, Code, FailureKind
from app.rpc.client_stream import ClientStream, Moved, NotProcessed
from app.rpc.compression import ACCEPTED, blocks, compressed, known
from app.rpc.connecting import ConnectFailure, Connection
from app.rpc.inbound import PREFIX_SIZE
from app.rpc.model import Metadata

MAX_ATTEMPTS = 5
"""How often one call is sent at most. Twice is common, where a connection drains; a third time is not."""
MAX_MESSAGE_TEXT = 2000
"""Characters of an endpoint's error text that are passed on."""

# gRPC over HTTP/2, "HTTP2 transport mapping": what a status of HTTP means where gRPC's is missing.
_HTTP_STATUS = {
    "400": Code.INTERNAL,
    "401": Code.UNAUTHENTICATED,
    "403": Code.PERMISSION_DENIED,
    "404": Code.UNIMPLEMENTED,
    "429": Code.UNAVAILABLE,
    "502": Code.UNAVAILABLE,
    "503": Code.UNAVAILABLE,
    "504": Code.UNAVAILABLE,
}


class Connections(Protocol):
    """What a call needs of its channel."""

    address: str

    async def connection(self) -> Connection:
        """One that takes new streams, as soon as there is one.

        :raises ConnectFailure: none can be made now.
        """

    def last_failure(self) -> ConnectFailure | None:
        """Why the last attempt to connect failed; None after a success."""

    def retried(self) -> None: ...


class CallSpec:
    """Immutable: what is asked."""

    def __init__(
        self,
        method: str,
        request: bytes,
        *,
        metadata: Metadata,
        timeout: float | None,
        window: int,
        authority: str,
        secure: bool,
        compression: str = "",
        max_message_size: int = 2**31 - 1,
    ) -> None:
        self.method = method
        self.request = request
        self.metadata = metadata
        self.timeout = timeout
        self.window = window
        self.authority = authority
        self.secure = secure
        self.compression = compression
        self.max_message_size = max_message_size
        self.deadline = None if timeout is None else time.monotonic() + timeout

    def headers(self) -> list[tuple[str, str]]:
        """Request headers, with what is left of the time."""
        headers = [
            (":method", "POST"),
            (":scheme", "https" if self.secure else "http"),
            (":path", self.method),
            (":authority", self.authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", USER_AGENT),
            ("grpc-accept-encoding", ACCEPTED),
        ]
        if self.compression:
            headers.append(("grpc-encoding", self.compression))
        remaining = self.remaining()
        if remaining is not None:
            headers.insert(4, ("grpc-timeout", encode_timeout(max(remaining, 0.001))))
        headers.extend(encode_metadata(dict(self.metadata)))
        return headers

    def framed(self) -> bytes:
        """The request message behind its prefix."""
        if self.compression:
            return compressed(self.request, self.compression)
        return b"\0" + len(self.request).to_bytes(4, "big") + self.request

    def remaining(self) -> float | None:
        """Seconds left; None: no limit."""
        return None if self.deadline is None else self.deadline - time.monotonic()


class ResponseStream:
    """Mutable: the attempt under way, used by the one task that makes the call."""

    def __init__(self, connections: Connections, spec: CallSpec) -> None:
        self._connections = connections
        self._spec = spec
        self._stream: ClientStream | None = None
        self._release: Callable[[], None] | None = None
        self._attempts = 0
        self._lost_once = False
        self._headers_checked = False
        self._encoding = ""
        self._waited_for = "a connection"
        self._decompressing: Iterator[bytearray] = iter(())
        self.messages = 0
        """How many have come, on all attempts."""

    async def open(self) -> None:
        """Send the request.

        :raises CallError: it cannot be sent.
        """
        try:
            await self._open()
        except CallError as error:
            raise self._named(error) from None
        self._waited_for = "the answer"

    async def next_block(self) -> bytearray | None:
        """All messages that have arrived, at least one, each behind its five-byte gRPC prefix; None when the
        call has ended with OK. The block before counts as consumed, and makes room for more.

        :raises CallError: the call failed; the message names the address.
        """
        try:
            return await self._next_block()
        except CallError as error:
            raise self._named(error) from None

    def release(self) -> None:
        """The last block is consumed, without asking for another."""
        if self._stream is not None:
            self._stream.buffer.release()

    async def only_message(self) -> bytes:
        """The message of a unary call, without its prefix.

        :raises CallError: the call failed, or there is not exactly one message.
        """
        whole = bytearray()
        while (block := await self.next_block()) is not None:
            whole += block
        if (
            len(whole) < PREFIX_SIZE
            or int.from_bytes(whole[1:PREFIX_SIZE], "big") != len(whole) - PREFIX_SIZE
        ):
            raise self._named(
                CallError(Code.INTERNAL, "not one message in a unary answer", FailureKind.PROTOCOL)
            )
        return bytes(memoryview(whole)[PREFIX_SIZE:])

    def close(self) -> None:
        """End the call, wherever it is: an endpoint that is still sending is told to stop."""
        if self._release is not None:
            release, self._release = self._release, None
            release()

    def late(self) -> CallError:
        """What it is to have no answer when the time of the call is over."""
        message = f"no answer within {self._spec.timeout:g} s, waiting for {self._waited_for}"
        failure = self._connections.last_failure()
        if failure is not None:
            message += f"; {failure.message}"
        return self._named(CallError(Code.DEADLINE_EXCEEDED, message, FailureKind.TIMEOUT))

    # -- one attempt after the other

    def _named(self, error: CallError) -> CallError:
        address = self._connections.address
        if error.message.startswith(address):
            return error
        return CallError(error.code, f"{address}: {error.message}", error.kind)

    async def _open(self) -> None:
        while True:
            self._attempts += 1
            connection = await self._connections.connection()
            try:
                stream, self._release = await connection.protocol.open_stream(
                    self._spec.headers(), self._spec.window
                )
            except Moved:
                if self._attempts >= MAX_ATTEMPTS:
                    raise CallError(
                        Code.UNAVAILABLE, "every connection was closed before the call was sent"
                    ) from None
                continue
            self._stream = stream
            self._headers_checked = False
            try:
                await stream.send_request_message(self._spec.framed())
            except CallError as error:
                if not self._again(error):
                    raise
                continue
            return

    async def _next_block(self) -> bytearray | None:
        while True:
            assert self._stream is not None
            if (plain := next(self._decompressing, None)) is not None:
                return plain
            try:
                if not self._headers_checked:
                    await self._check_headers(self._stream)
                buffer = self._stream.buffer
                before = buffer.messages
                block = await buffer.next_block()
                self.messages += buffer.messages - before
                if block is not None and buffer.compressed:
                    self._decompressing = blocks(block, self._encoding, self._spec.max_message_size)
                    continue
            except CallError as error:
                if not self._again(error):
                    raise
                await self._open()
                continue
            if block is None:
                self._check_status(self._stream)
            return block

    def _again(self, error: CallError) -> bool:
        """Whether to make the call again after `error`."""
        if self._headers_checked or self._attempts >= MAX_ATTEMPTS:
            return False
        if not isinstance(error, NotProcessed):
            if self._lost_once or error.kind is not FailureKind.CONNECTION_LOST:
                return False
            self._lost_once = True
        self.close()
        self._connections.retried()
        return True

    async def _check_headers(self, stream: ClientStream) -> None:
        if stream.headers is None:
            await stream.headers_received.wait()
        if stream.headers is None:
            if stream.failure is not None:
                raise stream.failure
            raise CallError(Code.INTERNAL, "the answer ended without headers", FailureKind.PROTOCOL)
        headers = dict(stream.headers)
        status = headers.get(":status", "")
        if status != "200" and "grpc-status" not in headers:
            raise CallError(
                _HTTP_STATUS.get(status, Code.UNKNOWN),
                f"the endpoint answered with HTTP status {status}; is it a gRPC endpoint?",
                FailureKind.PROTOCOL,
            )
        content_type = headers.get("content-type", "")
        if not content_type.startswith("application/grpc") and "grpc-status" not in headers:
            raise CallError(
                Code.UNKNOWN,
                f"the endpoint answered with content type {content_type!r}; is it a gRPC endpoint?",
                FailureKind.PROTOCOL,
            )
        self._encoding = headers.get("grpc-encoding", "")
        if not known(self._encoding):
            raise CallError(
                Code.INTERNAL,
                f"the endpoint answered in grpc-encoding {self._encoding!r}, which was not offered",
                FailureKind.PROTOCOL,
            )
        self._headers_checked = True

    def _check_status(self, stream: ClientStream) -> None:
        trailers = dict(stream.trailers or stream.headers or ())
        status = trailers.get("grpc-status")
        if status is None:
            raise CallError(Code.INTERNAL, "the answer ended without a gRPC status", FailureKind.PROTOCOL)
        try:
            code = Code(int(status))
        except ValueError:
            code = Code.UNKNOWN
        if code is not Code.OK:
            raise CallError(code, decode_grpc_message(trailers.get("grpc-message", ""))[:MAX_MESSAGE_TEXT])
