"""grpclib's protocol classes, for a client that loses no call when a connection ends.

What is changed, and why (each was measured, or read in grpclib 0.4.9 and h2 4.4.1):

- On GOAWAY grpclib kills every stream and h2 refuses to go on. Here streams up to the last stream id
  finish, those above it fail as never processed, and the channel makes a new connection (RFC 9113, 6.8).
- A failure wakes the waiting reader with its reason. grpclib cancels the reader's task instead, which
  structured concurrency takes for a cancellation from outside.
- DATA frames bypass h2, which handles them one by one at several microseconds each. Their flow control is
  kept, and enforced, here: the connection's window is returned on receipt, a stream's by its reader.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from grpclib import protocol as grpclib
from grpclib.config import Configuration
from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event, ResponseReceived, StreamReset
from h2.exceptions import NoAvailableStreamIDError, ProtocolError, TooManyStreamsError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from app.errors import CallError, Code, FailureKind
from app.rpc import frames
from app.rpc.client_stream import ClientStream, Moved, NotProcessed, reset_failure
from app.rpc.corked import CorkedTransport
from app.rpc.headers import RememberingH2
from app.rpc.inbound import InboundBuffer
from app.rpc.patches import apply_patches
from app.rpc.socket_options import set_client_options, unread

Headers = Sequence[tuple[str, str]]

STREAM_WINDOW = 256 * 1024
"""What every stream starts with, by SETTINGS; more is granted stream by stream."""
CONNECTION_WINDOW = 16 * 1024 * 1024
MAX_FRAME_SIZE = 1024 * 1024
MAX_WRITE_BUFFER = 8 * 1024 * 1024
"""Bytes that a peer may make us hold in answers to its PINGs and SETTINGS, which it does not read."""

_H2_CONFIG = H2Configuration(
    client_side=True,
    header_encoding="utf-8",
    validate_inbound_headers=True,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


class _DrainingH2(RememberingH2):
    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Any], list[Event]]:
        # The parent goes to CLOSED and drops what is to be sent: the streams in flight with it.
        event = ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        event.additional_data = frame.additional_data or None
        return [], [event]


class ClientConnection(grpclib.Connection):
    """Mutable: `draining` once the peer has said GOAWAY or we want no more streams on it."""

    draining = False
    owner: "ClientProtocol"

    def flush(self) -> None:
        data = self._connection.data_to_send()
        if data:
            self.owner.write(data)

    def create_stream(self, **_: Any) -> ClientStream:
        return ClientStream(self, self._connection, self._transport)


class ClientProcessor(grpclib.EventsProcessor):
    """h2's events to the streams they concern."""

    owner: "ClientProtocol"

    def close(self, reason: str = "the connection was closed") -> None:
        self.owner.closed(reason)

    def process_connection_terminated(self, event: ConnectionTerminated) -> None:
        self.owner.going_away(event)

    def process_stream_reset(self, event: StreamReset) -> None:
        stream = cast("ClientStream | None", self.streams.get(event.stream_id or 0))
        if stream is not None:
            stream.fail(reset_failure(event))
        self.connection.streams_failed += 1

    def process_response_received(self, event: ResponseReceived) -> None:
        # DATA passes h2 by, so it must not compare with a content-length: what a proxy answers instead of the
        # endpoint has one, and h2 would end the connection, with the calls of others.
        state = self.connection._connection.streams.get(event.stream_id or 0)
        if state is not None:
            state._expected_content_length = None
        super().process_response_received(event)

    def process_remote_settings_changed(self, event: Any) -> None:
        super().process_remote_settings_changed(event)
        self.connection.stream_close_waiter.set()  # more streams may be allowed now
        self.owner.settings_received()

    def process(self, event: Event) -> None:
        handler = getattr(self, "processors", {}).get(event.__class__)
        if handler is not None:  # informational responses, ALTSVC and the like are nothing to a gRPC client
            handler(event)


class _NoHandler(grpclib.AbstractHandler):
    """A client accepts no streams, and its streams are told by the processor."""

    def accept(self, *_: Any) -> None: ...

    def cancel(self, *_: Any) -> None: ...

    def close(self) -> None: ...


class ClientProtocol(grpclib.H2Protocol):
    """Mutable: one connection to an endpoint, changed by the event loop's callbacks.

    :param max_message_size: bytes of one message.
    """

    transport: CorkedTransport
    connection: ClientConnection
    processor: ClientProcessor

    def __init__(self, *, max_message_size: int) -> None:
        apply_patches()
        config = Configuration(
            http2_connection_window_size=CONNECTION_WINDOW, http2_stream_window_size=STREAM_WINDOW
        )
        super().__init__(_NoHandler(), config.__for_client__(), _H2_CONFIG)
        self._max_message_size = max_message_size
        self._on_going_away: Callable[[str], None] = lambda reason: None
        self._on_closed: Callable[[], None] = lambda: None
        self._partial = bytearray()
        self._lacking = 0
        """Bytes until the frame that is begun is complete."""
        self._deferred = bytearray()
        self._peer_leaves = False
        self._unreturned = 0
        self.made = asyncio.get_running_loop().create_future()
        """Done when the peer's first SETTINGS arrive; an error when they never will."""
        self.close_reason: str | None = None
        self.lost_with: BaseException | None = None

    # -- transport callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = CorkedTransport(cast(asyncio.Transport, transport))
        sock = transport.get_extra_info("socket")
        if sock is not None:
            set_client_options(sock)
        h2 = _DrainingH2(config=self.h2_config)
        h2.initiate_connection()
        h2.increment_flow_control_window(CONNECTION_WINDOW - h2.local_settings.initial_window_size)
        # h2 takes in a frame of the new size only once the peer has acknowledged it, and then both can come
        # in one read: it would refuse the frame.
        h2.max_inbound_frame_size = MAX_FRAME_SIZE
        h2.update_settings(
            {
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                SettingCodes.MAX_FRAME_SIZE: MAX_FRAME_SIZE,
                SettingCodes.ENABLE_PUSH: 0,
            }
        )
        self.connection = ClientConnection(h2, self.transport, config=self.config)
        self.connection.owner = self
        self.connection.flush()
        self.processor = ClientProcessor(self.handler, self.connection)
        self.processor.owner = self

    def data_received(self, data: bytes) -> None:
        if self.close_reason is not None:
            return
        if self._partial:
            self._partial += data
            self._lacking -= len(data)
            # Looked at again only when there is something to be seen: a frame may come byte by byte.
            if self._lacking <= 0:
                whole, self._partial = self._partial, bytearray()
                self._walk(memoryview(whole))
        else:
            self._walk(memoryview(data))
        if self.close_reason is None:
            self._after_read()

    def _walk(self, view: memoryview) -> None:
        """Take in whole frames; keep what is left."""
        position, size, others = 0, len(view), 0
        lacking = 0
        while size - position >= frames.HEADER_SIZE:
            length = (view[position] << 16) | (view[position + 1] << 8) | view[position + 2]
            end = position + frames.HEADER_SIZE + length
            if length > MAX_FRAME_SIZE:
                self._broken("a frame is larger than allowed", ErrorCodes.FRAME_SIZE_ERROR)
                return
            if end > size:
                lacking = end - size
                break
            if view[position + 3] == frames.DATA:
                # What came before this frame first: it may open or end the stream.
                if others < position and not self._feed_h2(view[others:position]):
                    return
                if not self._data_frame(view, position, end):
                    return
                others = end
            position = end
        if others < position and not self._feed_h2(view[others:position]):
            return
        self._partial = bytearray(view[position:])
        self._lacking = lacking or frames.HEADER_SIZE - (size - position)

    def _after_read(self) -> None:
        if self._deferred:
            deferred, self._deferred = bytes(self._deferred), bytearray()
            self.write(deferred)
        if self._unreturned * 4 >= CONNECTION_WINDOW:
            self.write(frames.window_update(0, self._unreturned))
            self._unreturned = 0

    def eof_received(self) -> None:
        # Not left to connection_lost: over TLS that may come half a minute later.
        self.closed("the endpoint closed the connection")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost_with = exc
        detail = f": {exc}" if exc is not None and str(exc) else ""
        self.closed(f"the connection was lost{detail}")

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport.

        A peer that has said GOAWAY closes as soon as it has sent its last answer. Whatever we write to it
        then comes back as a reset, the next write fails, and the transport throws away the answer that is
        still unread. So, from a GOAWAY on, what can be read is read first.
        """
        if self._deferred or (self._peer_leaves and unread(self.transport.get_extra_info("socket"))):
            self._deferred += data
            if len(self._deferred) > MAX_WRITE_BUFFER:
                self.closed("the endpoint asks for answers while it leaves")
        elif not self.transport.is_closing():
            self.transport.write(data)
            if self._peer_leaves:
                self.transport.flush()  # what is unread was looked at now

    # -- frames

    def _feed_h2(self, data: memoryview) -> bool:
        try:
            events = self.connection.feed(bytes(data))
        except (ProtocolError, ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
            if self.close_reason is None:
                self.connection.flush()
            self.closed(f"the endpoint does not speak HTTP/2: {error}")
            return False
        for event in events:
            self.processor.process(event)
            if self.close_reason is not None:
                return False
        self.connection.flush()
        if self.transport.get_write_buffer_size() > MAX_WRITE_BUFFER:
            self.closed("the endpoint asks for answers and does not read them")
            return False
        return True

    def _data_frame(self, view: memoryview, start: int, end: int) -> bool:
        flags = view[start + 4]
        stream_id = int.from_bytes(view[start + 5 : start + 9], "big") & frames.MAX_STREAM_ID
        begin, length = start + frames.HEADER_SIZE, end - start - frames.HEADER_SIZE
        self._unreturned += length
        if self._unreturned > CONNECTION_WINDOW:
            self._broken("it sent more than the connection's window", ErrorCodes.FLOW_CONTROL_ERROR)
            return False
        finish = end
        if flags & frames.PADDED:
            padding = view[begin] if length else length
            begin += 1
            finish = end - padding
            if finish < begin:
                self._broken("a DATA frame has more padding than payload", ErrorCodes.PROTOCOL_ERROR)
                return False
        stream = cast("ClientStream | None", self.processor.streams.get(stream_id))
        if stream is None:
            h2 = self.connection._connection
            if stream_id == 0 or not stream_id & 1 or stream_id > h2.highest_outbound_stream_id:
                self._broken("DATA on a stream that was never opened", ErrorCodes.PROTOCOL_ERROR)
                return False
            # Of a call that was cancelled: the peer had it on the way.
        elif stream.headers is None:
            stream.fail(CallError(Code.INTERNAL, "data came before headers", FailureKind.PROTOCOL))
            self._reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
        elif not stream.buffer.feed(view[begin:finish], length):
            reason = "the endpoint sent more than the stream's window"
            stream.fail(CallError(Code.INTERNAL, reason, FailureKind.PROTOCOL))
            self._reset(stream_id, ErrorCodes.FLOW_CONTROL_ERROR)
        elif stream.withheld and not flags & frames.END_STREAM:
            # Only now, since most answers are small: a frame less for both.
            self._grant(stream_id, stream.withheld)
            stream.buffer.widen(stream.withheld)
            stream.withheld = 0
        if flags & frames.END_STREAM:
            # The payload was taken in; h2 learns of the end alone, for the state of the stream.
            return self._feed_h2(
                memoryview(frames.frame_header(0, frames.DATA, frames.END_STREAM, stream_id))
            )
        return True

    def _broken(self, reason: str, code: ErrorCodes) -> None:
        self.write(frames.goaway(0, int(code), b""))
        self.closed(f"the endpoint broke HTTP/2: {reason}")

    def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        h2 = self.connection._connection
        stream = h2.streams.get(stream_id)
        if stream is not None and not stream.closed and not self.transport.is_closing():
            h2.reset_stream(stream_id, error_code=code)
            self.connection.flush()

    # -- what the processor tells

    def settings_received(self) -> None:
        if not self.made.done():
            self.made.set_result(None)

    def going_away(self, event: ConnectionTerminated) -> None:
        last = event.last_stream_id or 0
        code = event.error_code or 0
        reason = "the endpoint is closing the connection"
        if code:
            debug = (event.additional_data or b"").decode("utf-8", "replace")[:200]
            reason = f"the endpoint is closing the connection: error {int(code)} {debug}".rstrip()
        self._peer_leaves = True
        self.stop_new_streams(reason)
        for stream_id, stream in list(self.processor.streams.items()):
            if stream_id > last:
                cast(ClientStream, stream).fail(NotProcessed(Code.UNAVAILABLE, reason))
        self._close_when_idle()

    def closed(self, reason: str) -> None:
        """The connection is of no use any more: tell every stream, once."""
        if self.close_reason is not None:
            return
        self.close_reason = reason
        self.stop_new_streams(reason)
        self.transport.close()
        self.connection.write_ready.set()
        self.connection.stream_close_waiter.set()
        for stream in list(self.processor.streams.values()):
            stream.__terminated__(reason)
        if not self.made.done():
            self.made.set_exception(ConnectionError(reason))
            self.made.exception()  # its reader may have gone
        self._on_closed()

    # -- what the channel does

    def watch(self, *, on_going_away: Callable[[str], None], on_closed: Callable[[], None]) -> None:
        """Have each called once, at once where it has happened already: when no new stream may be opened on
        the connection, and when it is gone."""
        self._on_going_away, self._on_closed = on_going_away, on_closed
        if self.connection.draining:
            on_going_away(self.close_reason or "the endpoint is closing the connection")
        if self.close_reason is not None:
            on_closed()

    @property
    def answered(self) -> bool:
        """Whether a call has ended with an answer on this connection."""
        return self.connection.streams_succeeded > 0

    @property
    def draining(self) -> bool:
        """Whether no new stream may be opened any more."""
        return self.connection.draining

    @property
    def takes_streams(self) -> bool:
        return not self.connection.draining and not self.transport.is_closing()

    def stop_new_streams(self, reason: str) -> None:
        """No stream is opened from now on; those open go on."""
        if not self.connection.draining:
            self.connection.draining = True
            self.connection.stream_close_waiter.set()
            self._on_going_away(reason)

    def drain(self, reason: str) -> None:
        """Close as soon as no stream is open."""
        self.stop_new_streams(reason)
        self._close_when_idle()

    def cut(self, reason: str) -> None:
        """Close now, whatever is open and whatever is still to be sent."""
        self.closed(reason)
        self.transport.abort()

    def _close_when_idle(self) -> None:
        if self.connection.draining and not self.processor.streams:
            self.closed("drained")

    async def open_stream(self, headers: Headers, window: int) -> tuple[ClientStream, Callable[[], None]]:
        """Send the headers of a request.

        :param window: bytes that the peer may send ahead of the reader, at least `STREAM_WINDOW`.
        :returns: the stream, and what is to be called when it is done with.
        :raises Moved: the connection takes no new streams (any more).
        """
        h2 = self.connection._connection
        while True:
            await self.connection.write_ready.wait()
            if not self.takes_streams:
                raise Moved
            stream = self.connection.create_stream()
            try:
                stream_id = h2.get_next_available_stream_id()
                h2.send_headers(stream_id, list(headers))
            except TooManyStreamsError:
                self.connection.stream_close_waiter.clear()
                await self.connection.stream_close_waiter.wait()
                continue
            except NoAvailableStreamIDError:
                self.drain("the connection has used up its stream ids")
                raise Moved from None
            self.connection.flush()
            return stream, self._register(stream, stream_id, max(window, STREAM_WINDOW))

    def _register(self, stream: ClientStream, stream_id: int, window: int) -> Callable[[], None]:
        stream.init_stream(stream_id, self.connection)
        stream.buffer = InboundBuffer(
            STREAM_WINDOW, self._max_message_size, lambda size: self._grant(stream_id, size)
        )
        stream.withheld = window - STREAM_WINDOW
        released = self.processor.register(stream)
        return lambda: self._release(stream, released)

    def _grant(self, stream_id: int, size: int) -> None:
        if not self.transport.is_closing():
            self.write(frames.window_update(stream_id, size))

    def _release(self, stream: ClientStream, released: Callable[[], None]) -> None:
        assert stream.id is not None
        if stream.id in self.processor.streams:
            if self.close_reason is None:
                self._reset(stream.id, ErrorCodes.CANCEL)
                released()
            else:
                del self.processor.streams[stream.id]
        self._close_when_idle()
