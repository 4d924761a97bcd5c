"""A CA that is taken out of the client CA bundle lets nobody in from the next handshake on.

Not by resuming an older session, with TLS 1.2 or 1.3, and not by a ClientHello that was held back while the
CA was removed. Connections that its clients have open are cut within ten seconds; the others go on.
"""

import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import pytest

from app.demo.pki import Identity, Subject
from app.demo.realms import spiffe
from tests.harness import Authority, Shaken, client_context, shake, world

pytestmark = pytest.mark.anyio

CUT_WITHIN = 10.0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_removed_client_ca_is_refused(tmp_path: Path, version: ssl.TLSVersion) -> None:
    flags = ["--grpc-server-tls-min-version=1.2"]
    async with world(tmp_path, realms=("eu",), replicas=("a",), flags=flags) as here:
        front, address = here.front, here.querier.grpc_address
        assert front is not None
        removed = Authority("CA to be removed")
        partner = Identity(tmp_path / "partner", Subject(name="partner", uris=(spiffe("old", "asker"),)))
        partner.write(removed.issue(partner.subject, 600))
        front.trust.write([front.authority, removed])
        context = client_context(front, partner, version=version)
        before = await shake(address, context)
        assert before.accepted, before.error

        held = threading.Event()
        outcomes: list[Shaken] = []
        async with (
            open_connection(address, context) as live,
            here.load(rate=50) as tally,
            anyio.create_task_group() as tasks,
        ):

            async def delayed() -> None:
                outcomes.append(await shake(address, context, held=held))

            tasks.start_soon(delayed)
            with anyio.fail_after(5):
                # The held connection, beside the load, ours and `live`, is accepted before the CA goes.
                while here.querier.counts().connections < 4:  # noqa: ASYNC110
                    await anyio.sleep(0.02)
            front.trust.write([front.authority])
            after = await shake(address, context)
            resumed = await shake(address, context, session=before.session)
            held.set()
            assert not after.accepted
            assert not resumed.accepted and not resumed.resumed
            with anyio.fail_after(CUT_WITHIN):
                await until_closed(live)
        assert [outcome.accepted for outcome in outcomes] == [False]
        assert list(tally.faults) == [] and tally.calls > 0
        async with here.load(rate=50) as later:
            pass
        assert list(later.faults) == []


@asynccontextmanager
async def open_connection(address: str, context: ssl.SSLContext) -> AsyncIterator[anyio.abc.ByteStream]:
    """Entered when the querier has answered the HTTP/2 preface."""
    host, port = address.rsplit(":", 1)
    async with await anyio.connect_tcp(
        host, int(port), ssl_context=context, tls_standard_compatible=False
    ) as stream:
        await stream.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        assert await stream.receive()
        yield stream


async def until_closed(stream: anyio.abc.ByteStream) -> None:
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            await stream.receive()
