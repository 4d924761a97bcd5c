"""One call in a handler's hands, and what surrounds the handler: headers, deadline, status, trailers."""

import contextlib
import time
from collections.abc import Mapping, Sequence

import anyio
import structlog
from grpclib.metadata import decode_timeout, encode_grpc_message
from h2.exceptions import ProtocolError

from app.errors import CallError, Code
from app.rpc.compression import ACCEPTED, IDENTITY, Recompressor, decompressed, known
from app.rpc.inbound import PREFIX_SIZE
from app.rpc.model import UNARY, Handler, Metadata, Peer
from app.rpc.server_metrics import ServerMetrics
from app.rpc.server_protocol import ServerStream

TRAILER_LIMIT = 5.0
"""Seconds that a client which does not read has for the status of its call."""
MAX_STATUS_MESSAGE = 4000
"""Characters. Clients refuse trailers that are too large, and then report that instead of the error."""

_HIDDEN = ("grpc-", ":")
_RESPONSE = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-accept-encoding", ACCEPTED)]

log = structlog.get_logger()


class IncomingCall:
    """Mutable: what was read and sent so far; used by the handler's task alone. A `ServerCall`.

    :param encoding: of the requests that are compressed. Answers are compressed likewise, as gRPC for Go does
        it: who sends snappy wants snappy.
    """

    def __init__(
        self,
        stream: ServerStream,
        method: str,
        metadata: Metadata,
        deadline: float | None,
        encoding: str = IDENTITY,
    ) -> None:
        self.method = method
        self.metadata = metadata
        self._stream = stream
        self._deadline = deadline
        self._block = b""
        self._encoding = encoding
        self._recompressor = None if encoding == IDENTITY else Recompressor(encoding)
        self._headers_sent = False
        self.received = self.sent = 0
        """Messages; of framed ones those that were handed over together count as one."""

    @property
    def peer(self) -> Peer:
        return self._stream.protocol.peer

    @property
    def remaining(self) -> float | None:
        """Seconds to the client's deadline; None: it set none."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    async def receive(self) -> bytes | None:
        """The next request message; None after the last."""
        if not self._block:
            block = await self._stream.buffer.next_block()
            if block is None:
                return None
            self._block = bytes(block)
        size = PREFIX_SIZE + int.from_bytes(self._block[1:PREFIX_SIZE], "big")
        flags, message = self._block[0], self._block[PREFIX_SIZE:size]
        self._block = self._block[size:]
        self.received += 1
        if flags:
            limit = self._stream.protocol.owner.max_message_size
            return decompressed(memoryview(message), self._encoding, limit)
        return message

    async def send(self, message: bytes) -> None:
        """Send one message."""
        await self.send_framed([b"\0" + len(message).to_bytes(4, "big") + message])

    async def send_framed(self, frames: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send messages that carry their prefixes already, cut anywhere."""
        if not self._headers_sent:
            headers = list(_RESPONSE)
            if self._recompressor is not None:
                headers.append(("grpc-encoding", self._encoding))
            await self._send_headers(headers, end=False)
            self._headers_sent = True
        for data in frames:
            self.sent += 1
            if self._recompressor is None:
                await self._stream.send_bytes(memoryview(data))
                continue
            for message in self._recompressor.feed(data):
                await self._stream.send_bytes(memoryview(message))

    async def send_status(self, code: Code, message: str) -> None:
        """End the call."""
        headers = [] if self._headers_sent else list(_RESPONSE)
        headers.append(("grpc-status", str(int(code))))
        if message:
            headers.append(("grpc-message", encode_grpc_message(message[:MAX_STATUS_MESSAGE])))
        await self._send_headers(headers, end=True)

    async def _send_headers(self, headers: list[tuple[str, str]], *, end: bool) -> None:
        try:
            await self._stream.send_headers(headers, end_stream=end)
        except (ProtocolError, KeyError):
            if self._stream.failure is not None:
                raise self._stream.failure from None
            raise CallError(Code.CANCELLED, "the client closed the stream") from None


async def serve_call(
    stream: ServerStream,
    headers: Sequence[tuple[str, str]],
    handlers: Mapping[str, Handler],
    kinds: Mapping[str, str],
    metrics: ServerMetrics,
) -> None:
    """Answer one call, whatever its handler does. Runs in the listener's task group."""
    try:
        found = dict(headers)
        if found.get(":method") != "POST":
            await _reject(stream, "405")
            return
        if not found.get("content-type", "").startswith("application/grpc"):
            await _reject(stream, "415")
            return
        await _serve(stream, found, headers, handlers, kinds, metrics)
    except CallError:
        pass  # the client has gone while it was being answered
    finally:
        stream.release()


async def _reject(stream: ServerStream, status: str) -> None:
    with anyio.move_on_after(TRAILER_LIMIT), contextlib.suppress(ProtocolError):
        await stream.send_headers([(":status", status)], end_stream=True)


async def _serve(
    stream: ServerStream,
    found: Mapping[str, str],
    headers: Sequence[tuple[str, str]],
    handlers: Mapping[str, Handler],
    kinds: Mapping[str, str],
    metrics: ServerMetrics,
) -> None:
    method = found.get(":path", "")
    deadline, fault = None, None
    try:
        if "grpc-timeout" in found:
            deadline = time.monotonic() + decode_timeout(found["grpc-timeout"])
    except ValueError:
        fault = CallError(Code.INVALID_ARGUMENT, "the grpc-timeout header is malformed")
    encoding = found.get("grpc-encoding", "") or IDENTITY
    if not known(encoding):
        fault = CallError(
            Code.UNIMPLEMENTED, f"grpc-encoding {encoding[:100]!r} is not supported; {ACCEPTED} are"
        )
        encoding = IDENTITY
    metadata = {key: value for key, value in headers if not key.startswith(_HIDDEN)}
    call = IncomingCall(stream, method, metadata, deadline, encoding)
    handler = handlers.get(method)
    if handler is None:
        fault = CallError(Code.UNIMPLEMENTED, f"unknown method {method[:200]}")
        handler, service, name = _unknown, "unknown", "unknown"
    else:
        service, _, name = method.lstrip("/").partition("/")
    begun = time.monotonic()
    counted = metrics.method(kinds.get(method, UNARY), service, name)
    counted.started.inc()
    code, message = (fault.code, fault.message) if fault else await _run(call, stream, handler, deadline)
    counted.received.inc(call.received)
    counted.sent.inc(call.sent)
    counted.handled(code).inc()
    counted.handling.observe(time.monotonic() - begun)
    if stream.failure is None:
        with anyio.move_on_after(TRAILER_LIMIT):
            await call.send_status(code, message)


async def _run(
    call: IncomingCall, stream: ServerStream, handler: Handler, deadline: float | None
) -> tuple[Code, str]:
    with anyio.CancelScope() as scope:
        stream.on_failure = scope.cancel
        if stream.failure is not None:
            scope.cancel()
        try:
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            with anyio.move_on_after(remaining) as limit:
                await handler(call)
                return Code.OK, ""
            if limit.cancelled_caught:
                return Code.DEADLINE_EXCEEDED, "the deadline passed before the answer was complete"
        except CallError as error:
            return error.code, error.message
        except Exception:
            log.exception("a handler failed", method=call.method)
            return Code.INTERNAL, "internal error; the log of the querier says more"
    return Code.CANCELLED, stream.failure.message if stream.failure else "the call was cancelled"


async def _unknown(_: object) -> None: ...
