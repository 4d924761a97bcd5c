"""Who does not belong gets no answer, and nothing that he sends reaches a handler.

Plaintext on the TLS port, a certificate of another CA, no certificate, an identity that is not among the
allowed ones, TLS older than allowed: each is refused. Whoever belongs is served before and after.
"""

import ssl
from pathlib import Path

import anyio
import grpc
import grpc.aio
import pytest

from app.demo.pki import Identity, Subject
from app.demo.realms import spiffe
from tests.harness import Authority, Front, client_context, official, shake, world

pytestmark = pytest.mark.anyio

ALLOWED = f"--grpc-server-allowed-identity={spiffe('central', 'asker')}"


def stranger(front: Front, directory: Path, authority: Authority, uri: str) -> Identity:
    identity = Identity(directory, Subject(name="stranger", uris=(uri,)))
    identity.write(authority.issue(identity.subject, 600))
    return identity


async def plaintext_call(address: str) -> str:
    async with official(address, None) as channel:
        try:
            await channel.unary_unary("/thanos.Store/LabelNames")(b"", timeout=5)
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
    return "OK"


async def test_strangers_reach_no_handler(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",), flags=[ALLOWED]) as here:
        front, address = here.front, here.querier.grpc_address
        assert front is not None
        belongs = client_context(front, front.client)
        assert (await shake(address, belongs)).accepted
        started = await here.querier.metric("grpc_server_started_total")
        asker, other = spiffe("central", "asker"), spiffe("central", "somebody")
        wrong_ca = stranger(front, tmp_path / "wrong-ca", Authority("another CA"), asker)
        unpinned = stranger(front, tmp_path / "unpinned", front.authority, other)
        refused = {
            "another CA": await shake(address, client_context(front, wrong_ca)),
            "no certificate": await shake(address, client_context(front, None)),
            "an identity that is not allowed": await shake(address, client_context(front, unpinned)),
            "TLS 1.2": await shake(
                address, client_context(front, front.client, version=ssl.TLSVersion.TLSv1_2)
            ),
        }
        assert [who for who, outcome in refused.items() if outcome.accepted] == []
        assert await plaintext_call(address) == "UNAVAILABLE"
        with anyio.fail_after(10):
            async with await anyio.connect_tcp("127.0.0.1", int(address.rsplit(":", 1)[1])) as raw:
                await raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    while True:
                        assert b"HTTP" not in await raw.receive(), "answered in plaintext"
        assert await here.querier.metric("grpc_server_started_total") == started, "a handler was reached"
        assert (await shake(address, belongs)).accepted
