"""grpclib's protocol classes, for a server that drains without losing a call and sends in bulk.

h2 keeps the state of streams and the headers; it is passed by in two places. It refuses to send after a
GOAWAY, so GOAWAY frames are written to the transport directly. And DATA is cut into frames here, with h2's
own window counters, since h2 spends several microseconds on each.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from grpclib import protocol as grpclib
from grpclib.config import Configuration
from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    PingAckReceived,
    PingReceived,
    PriorityUpdated,
    RemoteSettingsChanged,
    RequestReceived,
    StreamReset,
)
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes

from app.errors import CallError, Code, FailureKind
from app.rpc import frames
from app.rpc.abuse import EMPTY_DATA, PING, PRIORITY, RESET, SETTINGS, AbuseBudget
from app.rpc.corked import CorkedTransport
from app.rpc.headers import RememberingH2
from app.rpc.inbound import InboundBuffer
from app.rpc.lifetime import Action, Lifetime
from app.rpc.model import Peer
from app.rpc.patches import apply_patches
from app.rpc.socket_options import set_server_options
from app.tls.model import Material

STREAM_WINDOW = 65_535
WRITE_LIMIT = 256 * 1024
"""Bytes that wait in the transport before a sender waits."""
WRITE_SIZE = 64 * 1024
"""Bytes written at once, before other streams have their turn."""
MAX_WRITE_BUFFER = 8 * 1024 * 1024
DRAIN_PING = b"draining"

_H2_CONFIG = H2Configuration(
    client_side=False,
    header_encoding="utf-8",
    validate_inbound_headers=True,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


class ConnectionOwner(Protocol):
    """The listener as its connections see it."""

    @property
    def max_message_size(self) -> int:
        """Bytes of one request message."""

    @property
    def max_streams(self) -> int:
        """Calls at once on one connection."""

    def admitted(self, connection: "ServerProtocol") -> bool:
        """A connection is there, TLS and all; False when its peer is not let in."""

    def request(self, stream: "ServerStream", headers: Sequence[tuple[str, str]]) -> None:
        """A call has come in."""

    def rescheduled(self, connection: "ServerProtocol") -> None:
        """Its deadline has changed."""

    def gone(self, connection: "ServerProtocol") -> None:
        """It is closed."""


class ServerStream(grpclib.Stream):
    """Mutable: one call on the wire, changed by the protocol.

    :ivar failure: why it ended before our trailers; None while it is well.
    :ivar on_failure: cancels the handler.
    """

    buffer: InboundBuffer  # type: ignore[assignment]
    failure: CallError | None = None
    on_failure: Callable[[], None] | None = None
    protocol: "ServerProtocol"
    release: Callable[[], None]

    def fail(self, failure: CallError) -> None:
        if self.failure is None:
            self.failure = failure
            self.buffer.fail(failure)
            self.window_updated.set()
            if self.on_failure is not None:
                self.on_failure()

    def __ended__(self) -> None:
        self.buffer.end()

    def __terminated__(self, reason: str) -> None:
        self.fail(CallError(Code.CANCELLED, reason, FailureKind.CONNECTION_LOST))

    async def send_bytes(self, data: memoryview) -> None:
        """Send DATA, as much at a time as the windows and the transport let through.

        :raises CallError: the call is over.
        """
        h2 = self._h2_connection
        assert self.id is not None
        while data:
            await self.connection.write_ready.wait()
            if self.failure is not None:
                raise self.failure
            state = h2.streams.get(self.id)
            if state is None or state.closed:
                raise CallError(Code.CANCELLED, "the client closed the stream")
            window = min(h2.outbound_flow_control_window, state.outbound_flow_control_window, WRITE_SIZE)
            if window <= 0:
                self.window_updated.clear()
                await self.window_updated.wait()
                continue
            size = min(window, len(data))
            h2.outbound_flow_control_window -= size
            state.outbound_flow_control_window -= size
            self._transport.write(_data_frames(self.id, data[:size], h2.max_outbound_frame_size))
            data = data[size:]


def _data_frames(stream_id: int, data: memoryview, max_frame_size: int) -> bytes:
    out = bytearray()
    for start in range(0, len(data), max_frame_size):
        piece = data[start : start + max_frame_size]
        out += frames.frame_header(len(piece), frames.DATA, 0, stream_id)
        out += piece
    return bytes(out)


class _ServerProcessor(grpclib.EventsProcessor):
    owner: "ServerProtocol"

    def close(self, reason: str = "the connection was closed") -> None:
        self.owner.closed(reason)

    def process(self, event: Event) -> None:
        self.owner.spend_for(event)
        handler = getattr(self, "processors", {}).get(event.__class__)
        if handler is not None:
            handler(event)

    def process_request_received(self, event: RequestReceived) -> None:
        self.owner.request(event)

    def process_data_received(self, event: DataReceived) -> None:
        self.owner.data(event)

    def process_stream_reset(self, event: StreamReset) -> None:
        stream = cast("ServerStream | None", self.streams.get(event.stream_id or 0))
        if stream is not None:
            stream.fail(CallError(Code.CANCELLED, "the client cancelled the call"))

    def process_connection_terminated(self, event: Event) -> None:
        # The client opens no more streams; it closes when it has its answers.
        pass

    def process_remote_settings_changed(self, event: Any) -> None:
        super().process_remote_settings_changed(event)
        self.owner.greeted()

    def process_ping_ack_received(self, event: PingAckReceived) -> None:
        if event.ping_data == DRAIN_PING:
            self.owner.drain_acknowledged()


class _ServerH2(RememberingH2):
    def _receive_goaway_frame(self, frame: Any) -> tuple[list[Any], list[Event]]:
        # The parent would refuse to send the answers that are still owed.
        return [], []


class _NoHandler(grpclib.AbstractHandler):
    """Requests go to the owner; grpclib's own handler makes tasks that nobody owns."""

    def accept(self, *_: Any) -> None: ...

    def cancel(self, *_: Any) -> None: ...

    def close(self) -> None: ...


class ServerProtocol(grpclib.H2Protocol):
    """Mutable: one accepted connection, changed by the event loop's callbacks and by the reaper.

    :param material: what the handshake used; None for plaintext.
    :ivar peer: who is there; set by the owner when it admits the connection.
    :ivar chain: what the peer showed, DER, leaf first.
    """

    transport: CorkedTransport
    processor: _ServerProcessor
    peer: Peer
    chain: tuple[bytes, ...] = ()
    lifetime: Lifetime

    def __init__(self, owner: ConnectionOwner, material: Material | None) -> None:
        apply_patches()
        super().__init__(_NoHandler(), Configuration().__for_server__(), _H2_CONFIG)
        self.owner = owner
        self.material = material
        self.made_at = time.monotonic()
        self.lifetime = Lifetime(self.made_at, max_age=None, grace=None, expires=None)
        self.close_reason: str | None = "not admitted"
        self._budget = AbuseBudget(self.made_at)
        self._last_stream: int | None = None
        self._refusing = False
        self._unreturned = 0
        """Bytes of the connection's window, which is as large as a stream's."""

    # -- transport callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = CorkedTransport(cast(asyncio.Transport, transport))
        sock = transport.get_extra_info("socket")
        if sock is not None:
            set_server_options(sock)
        self.transport.set_write_buffer_limits(high=WRITE_LIMIT)
        h2 = _ServerH2(config=self.h2_config)
        self.connection = grpclib.Connection(h2, self.transport, config=self.config)
        self.processor = _ServerProcessor(self.handler, self.connection)
        self.processor.owner = self
        try:
            admitted = self.owner.admitted(self)
        except BaseException:
            self.transport.abort()
            raise
        if not admitted:
            self.transport.close()
            return
        self.close_reason = None
        h2.initiate_connection()
        h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self.owner.max_streams})
        self.connection.flush()

    def data_received(self, data: bytes) -> None:
        if self.close_reason is not None:
            return
        try:
            events = self.connection.feed(data)
        except (ProtocolError, ValueError, KeyError, IndexError) as error:
            self.connection.flush()  # h2 has a GOAWAY for it that says what was wrong
            self._fault(f"the client broke HTTP/2: {error}")
            return
        if not self._process(events):
            return
        self.connection.flush()
        if self.transport.get_write_buffer_size() > MAX_WRITE_BUFFER:
            self.cut("the client asks for answers and does not read them")

    def _process(self, events: Sequence[Event]) -> bool:
        """False when the connection was closed over one of them."""
        for event in events:
            self.processor.process(event)
            if self.close_reason is not None:
                return False
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        self.closed("the client closed the connection")
        self.lifetime.closed()
        self.owner.gone(self)

    # -- what the processor tells

    def spend_for(self, event: Event) -> None:
        """Take what `event` costs from the connection's budget."""
        cost = _COSTS.get(event.__class__, 0.0)
        if isinstance(event, DataReceived) and not event.data:
            cost = EMPTY_DATA
        if cost and not self._budget.spend(cost, time.monotonic()):
            self.transport.write(frames.goaway(self._highest(), int(ErrorCodes.ENHANCE_YOUR_CALM), b""))
            self._fault("the client floods us with frames")

    def request(self, event: RequestReceived) -> None:
        h2, stream_id = self.connection._connection, event.stream_id
        if self._refusing or (self._last_stream is not None and stream_id > self._last_stream):
            h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        stream = ServerStream(self.connection, h2, self.transport)
        stream.protocol = self
        stream.init_stream(stream_id, self.connection)
        stream.buffer = InboundBuffer(
            STREAM_WINDOW, self.owner.max_message_size, lambda size: self._grant(stream_id, size)
        )
        released = self.processor.register(stream)
        stream.release = lambda: self._release(stream, released)
        self.owner.request(stream, cast("list[tuple[str, str]]", event.headers))

    def data(self, event: DataReceived) -> None:
        size = event.flow_controlled_length or 0
        h2 = self.connection._connection
        self._unreturned += size
        if self._unreturned * 4 >= STREAM_WINDOW:
            h2.increment_flow_control_window(self._unreturned)
            self._unreturned = 0
        stream = cast("ServerStream | None", self.processor.streams.get(event.stream_id or 0))
        if stream is not None:
            stream.buffer.feed(memoryview(event.data or b""), size)

    def greeted(self) -> None:
        self.lifetime.greeted(time.monotonic())
        self.owner.rescheduled(self)

    def drain_acknowledged(self) -> None:
        self._do(self.lifetime.acknowledged(time.monotonic(), len(self.processor.streams)))

    def closed(self, reason: str) -> None:
        """Of no use any more: close it and cancel what runs."""
        if self.close_reason is not None:
            return
        self.close_reason = reason
        self.connection.write_ready.set()
        for stream in list(self.processor.streams.values()):
            stream.__terminated__(reason)
        self.transport.close()

    def _fault(self, reason: str) -> None:
        # Closed for good soon, even when the client does not read its GOAWAY.
        self.closed(reason)
        self.lifetime.broken(time.monotonic())
        self.owner.rescheduled(self)

    # -- what the owner and the reaper do

    def deadline(self) -> float | None:
        return self.lifetime.deadline

    def due(self, now: float) -> None:
        self._do(self.lifetime.tick(now, len(self.processor.streams)))

    def drain(self, reason: str, grace: float | None = None) -> None:
        """Begin to drain now; see `Lifetime.drain`."""
        self._do(self.lifetime.drain(time.monotonic(), reason, grace))

    def distrust(self) -> None:
        """No new streams from now on, and the cut within seconds."""
        self._refusing = True
        self._do(self.lifetime.distrust(time.monotonic()))

    def cut(self, reason: str) -> None:
        """Close now, whatever is open. Unread answers are thrown away."""
        self.closed(reason)
        self.transport.abort()

    def _do(self, action: Action) -> None:
        if action is Action.CLOSE:
            self._close_now()
        elif not self.transport.is_closing():
            if action is Action.FIRST_GOAWAY:
                self._goaway(frames.MAX_STREAM_ID)
                self.connection._connection.ping(DRAIN_PING)
                self.connection.flush()
            elif action is Action.LAST_GOAWAY:
                self._last_stream = self._highest()
                self._goaway(self._last_stream)
        self.owner.rescheduled(self)

    def _close_now(self) -> None:
        closing = self.transport.is_closing()
        if closing or self.processor.streams or self.transport.get_write_buffer_size():
            self.cut(self.lifetime.reason)
        else:
            self.closed(self.lifetime.reason)

    def _goaway(self, last_stream: int) -> None:
        self.connection.flush()
        self.transport.write(frames.goaway(last_stream, 0, self.lifetime.reason.encode()))

    def _highest(self) -> int:
        return self.connection._connection.highest_inbound_stream_id

    def _grant(self, stream_id: int, size: int) -> None:
        h2 = self.connection._connection
        state = h2.streams.get(stream_id)
        if state is not None and not state.closed and not self.transport.is_closing():
            try:
                h2.increment_flow_control_window(size, stream_id)
            except (ProtocolError, StreamClosedError):
                return  # the client has closed its side meanwhile
            self.connection.flush()

    def _release(self, stream: ServerStream, released: Callable[[], None]) -> None:
        assert stream.id is not None
        if stream.id not in self.processor.streams:
            return
        if self.close_reason is None:
            state = self.connection._connection.streams.get(stream.id)
            if state is not None and not state.closed:
                self.connection._connection.reset_stream(
                    stream.id, ErrorCodes.NO_ERROR if stream.failure is None else ErrorCodes.CANCEL
                )
                self.connection.flush()
            released()
        else:
            del self.processor.streams[stream.id]
        self.lifetime.stream_ended(time.monotonic(), len(self.processor.streams))
        self.owner.rescheduled(self)


_COSTS: dict[type[Event], float] = {
    StreamReset: RESET,
    PingReceived: PING,
    RemoteSettingsChanged: SETTINGS,
    PriorityUpdated: PRIORITY,
}
