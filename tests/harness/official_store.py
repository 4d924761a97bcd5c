"""The synthetic store behind grpcio's server: an endpoint whose HTTP/2 nobody here wrote."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio

from app.demo import wire
from app.demo.dataset import Dataset
from app.demo.realms import Realm
from app.demo.store_options import Faults
from app.demo.synthetic import SyntheticStore
from app.errors import CallError
from app.rpc.model import Handler, Metadata, Peer

_STREAMING = frozenset({"Series"})


class _OfficialCall:
    """Mutable: the request until it was received. A `ServerCall` over grpcio's context."""

    peer = Peer(address="", tls=None)

    def __init__(self, method: str, request: bytes, send: Callable[[bytes], Awaitable[None]]) -> None:
        self.method = method
        self.metadata: Metadata = {}
        self._request: bytes | None = request
        self._send = send

    @property
    def remaining(self) -> float | None:
        return None

    async def receive(self) -> bytes | None:
        request, self._request = self._request, None
        return request

    async def send(self, message: bytes) -> None:
        await self._send(message)

    async def send_framed(self, frames: Sequence[bytes | bytearray | memoryview]) -> None:
        for message in wire.unframed(b"".join(frames)):
            await self._send(message)


def _unchanged(message: bytes) -> bytes:
    return message


async def _run(
    handler: Handler, call: _OfficialCall, context: "grpc.aio.ServicerContext[bytes, bytes]"
) -> None:
    try:
        await handler(call)
    except CallError as error:
        status = next(code for code in grpc.StatusCode if code.value[0] == error.code)
        await context.abort(status, error.message)


def _streaming(method: str, handler: Handler) -> grpc.RpcMethodHandler:
    async def serve(request: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        await _run(handler, _OfficialCall(method, request, context.write), context)

    return grpc.unary_stream_rpc_method_handler(serve, _unchanged, _unchanged)


def _unary(method: str, handler: Handler) -> grpc.RpcMethodHandler:
    async def serve(request: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        sent: list[bytes] = []

        async def keep(message: bytes) -> None:
            sent.append(message)

        await _run(handler, _OfficialCall(method, request, keep), context)
        return sent[-1]

    return grpc.unary_unary_rpc_method_handler(serve, _unchanged, _unchanged)


def _credentials(realm: Realm, replica: str) -> grpc.ServerCredentials:
    identity = realm.stores[replica]
    pair = (Path(identity.key_file).read_bytes(), Path(identity.cert_file).read_bytes())
    trusted = Path(realm.store_trust.ca_file).read_bytes()
    return grpc.ssl_server_credentials([pair], trusted, require_client_auth=True)


@asynccontextmanager
async def official_store(
    dataset: Dataset,
    realm: Realm | None = None,
    replica: str = "a",
    *,
    max_connection_age: float = 0.0,
    faults: Faults | None = None,
    compression: grpc.Compression = grpc.Compression.NoCompression,
) -> AsyncIterator[str]:
    """`dataset` served by grpcio in this process; its address.

    :param realm: whose certificates it shows, as they are now: it does not follow them. None: plaintext.
    :param compression: of answers.
    :param max_connection_age: seconds; 0: without limit. grpcio's own, with its own two GOAWAYs.
    """
    options: list[tuple[str, int]] = [("grpc.max_send_message_length", -1)]
    if max_connection_age:
        options.append(("grpc.max_connection_age_ms", round(max_connection_age * 1000)))
    server = grpc.aio.server(options=options, compression=compression)
    for service in SyntheticStore(dataset, faults or Faults()).services():
        handlers = {
            name: (_streaming if name in _STREAMING else _unary)(f"/{service.name}/{name}", handler)
            for name, handler in service.methods.items()
        }
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service.name, handlers)])
    address = "127.0.0.1:0"
    if realm is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, _credentials(realm, replica))
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(1.0)
