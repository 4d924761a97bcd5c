"""A client whose certificate has expired is refused, with no file changed; its open connection ends too.

The same for everybody under a CA whose CRL is past its next update: nobody knows any more who is revoked.
"""

import time
from pathlib import Path

import anyio
import pytest

from app.demo.pki import Identity
from app.demo.processes import free_address
from tests.harness import Authority, Front, client_context, querier, shake
from tests.pki import CA, replace

pytestmark = pytest.mark.anyio


async def until_refused(address: str, front: Front) -> float:
    """When the first handshake was refused, in seconds since the epoch."""
    context = client_context(front, front.client)
    with anyio.fail_after(15):
        while (await shake(address, context)).accepted:  # noqa: ASYNC110
            await anyio.sleep(0.1)
    return time.time()


class CrlFront(Front):
    """A front whose CA is one that can also issue CRLs. Mutable as `Front`."""

    def __init__(self, root: Path, authority: CA) -> None:
        super().__init__(root, Authority("unused"))
        self._issuer = authority
        self.issue(self.listener)
        self.issue(self.client)
        Path(self.trust.ca_file).write_bytes(authority.pem)

    def issue(self, identity: Identity, *, until: float | None = None) -> None:
        leaf = self._issuer.issue(not_after=until)
        Path(identity.cert_file).write_bytes(leaf.chain_pem)
        Path(identity.key_file).write_bytes(leaf.key_pem)


@pytest.mark.parametrize("what", ["certificate", "crl"])
async def test_expired_clients_are_refused(tmp_path: Path, what: str) -> None:
    authority, end = CA("front CA"), int(time.time()) + 10.0
    front = CrlFront(tmp_path / "front", authority)
    flags = [f"--endpoint={free_address()}"]
    if what == "crl":
        replace(tmp_path / "clients.crl", authority.crl(next_update=end))
        flags.append(f"--grpc-server-tls-crl={tmp_path / 'clients.crl'}")
    async with querier(tmp_path, flags, front=front) as running:
        if what == "certificate":
            end = int(time.time()) + 3.0
            front.issue(front.client, until=end)
        before = await shake(running.grpc_address, client_context(front, front.client))
        assert before.accepted, before.error
        refused_at = await until_refused(running.grpc_address, front)
        assert end <= refused_at < end + 3
