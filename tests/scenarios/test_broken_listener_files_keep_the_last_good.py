"""Broken files of the querier's own listener shut nobody out: the last good ones serve, the reason is told.

An empty certificate, a key of another certificate, an expired pair, files that are gone, an empty client CA
bundle: after each, new handshakes get the certificate from before and load goes on. A good pair is in use
from the next handshake, by itself.
"""

from pathlib import Path

import anyio
import pytest

from tests.harness import Front, World, client_context, shake, world

pytestmark = pytest.mark.anyio

LISTENER = {"group": "listener", "role": "server"}


async def until_in_force(here: World, kind: str, wanted: int) -> None:
    name = "crossrealm_tls_last_reload_success"
    with anyio.fail_after(10):
        while await here.querier.metric(name, set=kind, **LISTENER) != wanted:  # noqa: ASYNC110
            await anyio.sleep(0.05)


def break_files(front: Front, fault: str) -> None:
    cert, key = Path(front.listener.cert_file), Path(front.listener.key_file)
    match fault:
        case "empty":
            cert.write_bytes(b"")
        case "wrong key":
            key.write_bytes(front.authority.issue(front.listener.subject, 600).key)
        case "expired":
            pair = front.authority.issue(front.listener.subject, -1)
            cert.write_bytes(pair.certificate)
            key.write_bytes(pair.key)
        case "deleted":
            cert.resolve().unlink()
            key.resolve().unlink()
        case "empty bundle":
            Path(front.trust.ca_file).write_bytes(b"")


async def test_broken_listener_files_keep_the_last_good(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",), replicas=("a",)) as here:
        for fault in ("empty", "wrong key", "expired", "deleted", "empty bundle"):
            await keeps_the_last_good(here, fault)


async def keeps_the_last_good(here: World, fault: str) -> None:
    front = here.front
    assert front is not None and front.listener.pair is not None
    good, said = front.listener.pair.serial, len(here.querier.log())
    context = client_context(front, front.client)
    kind = "trust" if fault == "empty bundle" else "identity"
    async with here.load(rate=100) as tally:
        await until_in_force(here, kind, 1)
        break_files(front, fault)
        await until_in_force(here, kind, 0)
        shown = await shake(here.querier.grpc_address, context)
        assert shown.accepted, (fault, shown.error)
        assert shown.serial == good, fault
        front.trust.write([front.authority])
        renewed = front.renew_listener()
        shown = await shake(here.querier.grpc_address, context)
        assert shown.serial == renewed.serial, fault
        await until_in_force(here, kind, 1)
    assert list(tally.faults) == [], fault
    assert tally.calls > 0, fault
    assert "certificate material refused" in here.querier.log()[said:], fault
