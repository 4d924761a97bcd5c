"""What rpc shows to those that call and serve through it. No grpclib type leaves this folder."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from app.tls.model import CertificateInfo

Metadata = Mapping[str, str]

UNARY, SERVER_STREAM, BIDI_STREAM = "unary", "server_stream", "bidi_stream"
"""Kinds of methods, as metrics of gRPC name them."""


class PeerTls(msgspec.Struct, frozen=True, kw_only=True):
    """What a handshake agreed on. `certificate` is None where the peer showed none.

    :param version: ``TLSv1.3``.
    :param generation: of the material that *we* used.
    :param local: our own leaf on this connection.
    """

    version: str
    cipher: str
    certificate: CertificateInfo | None
    local: CertificateInfo | None
    generation: int


class ChannelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A channel at one moment, for the status page and the demo.

    :param connected_at: seconds since the epoch at which the serving connection was made; None: no
        connection.
    :param handshakes, calls, failures: since the channel was made. A call that was retried because the
        peer never processed it counts once.
    :param last_error: the last connection failure while there is no connection, "" otherwise.
    :param identity_refused: why the peer refused our newest identity while we go on with the last good
        one; "" otherwise.
    """

    address: str
    connected_at: float | None
    tls: PeerTls | None
    handshakes: int
    calls: int
    failures: int
    last_error: str
    identity_refused: str


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Who called us."""

    address: str
    tls: PeerTls | None


class ServerCall(Protocol):
    """One call in a handler's hands. The handler returns to end with OK, raises CallError to fail, and is
    cancelled when the client goes away or the deadline passes."""

    @property
    def method(self) -> str:
        """/package.Service/Method"""

    @property
    def metadata(self) -> Metadata:
        """What the client sent with the call, less what is HTTP's and gRPC's own."""

    @property
    def peer(self) -> Peer:
        """Who calls."""

    @property
    def remaining(self) -> float | None:
        """Seconds to the client's deadline; None: no deadline."""

    async def receive(self) -> bytes | None:
        """The next request message; None after the client's last one."""

    async def send(self, message: bytes) -> None:
        """Send one message; waits for the client's flow control."""

    async def send_framed(self, frames: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send messages that already carry their five-byte gRPC prefix, cut anywhere.

        The buffers are not kept after the return. Waits for the client's flow control.
        """


Handler = Callable[[ServerCall], Awaitable[None]]


class Service(msgspec.Struct, frozen=True):
    """A gRPC service to serve.

    :param name: ``thanos.Store``.
    :param methods: method name -> handler. Streaming or not is the handler's business.
    :param streaming: method name -> how it streams, for metrics, of those that do.
    """

    name: str
    methods: Mapping[str, Handler]
    streaming: Mapping[str, str] = {}
