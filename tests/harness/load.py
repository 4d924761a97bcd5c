"""Calls at a rate, each answer judged: by our own client, and by the official one."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import grpc
import grpc.aio
from prometheus_client import CollectorRegistry

from app.demo.answers import Question
from app.demo.driver import CALL_TIMEOUT, Asker, Driver, Tally, ask
from app.demo.realms import Front
from app.rpc.channel import Channel, ChannelOptions
from app.rpc.metrics import ClientMetrics
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy


@asynccontextmanager
async def caller(address: str, front: Front | None, *, drain_window: float = 2.0) -> AsyncIterator[Channel]:
    """Our own client, as the identity of `front.client`; None: plaintext. It follows its files."""
    registry = CollectorRegistry()
    cache = CertificateCache(metrics=TlsMetrics(registry))
    tls = None
    if front is not None:
        files = TlsFiles(
            cert_file=front.client.cert_file, key_file=front.client.key_file, ca_file=front.trust.ca_file
        )
        tls = cache.provider("test", Role.CLIENT, files, TlsPolicy())
    channel = Channel(
        address,
        group="test",
        tls=tls,
        options=ChannelOptions(drain_window=drain_window),
        metrics=ClientMetrics(registry),
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(cache.run)
        tasks.start_soon(channel.run)
        try:
            yield channel
        finally:
            with anyio.CancelScope(shield=True):
                await channel.aclose(2.0)
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def load(
    channel: Channel, questions: Sequence[Question], *, rate: float, workers: int = 8
) -> AsyncIterator[Tally]:
    """Ask through our own client for as long as the scope is open; calls in flight at its end are counted.

    :param rate: calls a second of all workers together, at most.
    """
    async with _driven(partial(ask, channel), questions, rate, workers) as tally:
        yield tally


@asynccontextmanager
async def _driven(
    through: Asker, questions: Sequence[Question], rate: float, workers: int
) -> AsyncIterator[Tally]:
    tally = Tally()
    driver = Driver(through, questions, tally, rate=rate, workers=workers)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(driver.run)
        yield tally
        driver.stop()


def _credentials(front: Front) -> grpc.ChannelCredentials:
    client = front.client
    return grpc.ssl_channel_credentials(
        root_certificates=Path(front.trust.ca_file).read_bytes(),
        private_key=Path(client.key_file).read_bytes(),
        certificate_chain=Path(client.cert_file).read_bytes(),
    )


@asynccontextmanager
async def official(address: str, front: Front | None) -> AsyncIterator[grpc.aio.Channel]:
    """A channel of grpcio, with the files as they are now: it does not follow them."""
    options = [("grpc.max_receive_message_length", -1)]
    if front is None:
        made = grpc.aio.insecure_channel(address, options=options)
    else:
        made = grpc.aio.secure_channel(address, _credentials(front), options=options)
    async with made as channel:
        yield channel


def official_asker(channel: grpc.aio.Channel) -> Asker:
    """Asks through grpcio."""

    def unchanged(message: bytes) -> bytes:
        return message

    async def through_official(question: Question) -> str:
        try:
            if not question.streams:
                unary = channel.unary_unary(question.method, unchanged, unchanged)
                return question.judge(await unary(question.request, timeout=CALL_TIMEOUT))
            stream = channel.unary_stream(question.method, unchanged, unchanged)
            answer = [
                b"\0" + len(message).to_bytes(4, "big") + message
                async for message in stream(question.request, timeout=CALL_TIMEOUT)
            ]
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        return question.judge(b"".join(answer))

    return through_official


@asynccontextmanager
async def official_load(
    channel: grpc.aio.Channel, questions: Sequence[Question], *, rate: float, workers: int = 4
) -> AsyncIterator[Tally]:
    """As `load`, through grpcio."""
    async with _driven(official_asker(channel), questions, rate, workers) as tally:
        yield tally
