"""A `tls_config` that is edited applies to addresses that are in use, and costs no call.

The group shows another certificate from then on. One that pins somebody else is not silently passed over: the
endpoints are down, with the reason, and every answer says what it misses; put right, they come back.
"""

from pathlib import Path

import pytest

from app.demo.pki import Identity, Subject
from tests.harness import world

pytestmark = pytest.mark.anyio


async def test_edited_tls_applies_to_a_live_address(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",)) as here:
        realm, (tls, addresses) = here.realms["eu"], here.groups["eu"]
        assert tls is not None
        other = Identity(tmp_path / "other", Subject(name="other", uris=("spiffe://eu.example/other",)))
        pair = realm.authority.issue(other.subject, 600)
        other.write(pair)
        edited = {**tls, "cert_file": other.cert_file, "key_file": other.key_file}
        async with here.load(rate=200) as tally:
            here.write_groups({"eu": (edited, addresses)})
            await here.until(
                lambda rows: len(rows) == 2 and all(row.client_serial == pair.serial for row in rows),
                limit=20,
                what="the other certificate is shown",
            )
            calls = tally.calls
            await here.until(lambda _: tally.calls > calls + 50, limit=10, what="calls go on")
            assert list(tally.faults) == []
        pinned = {**edited, "peer_identities": ["spiffe://eu.example/nobody"]}
        here.write_groups({"eu": (pinned, addresses)})
        await here.until(
            lambda rows: len(rows) == 2 and all("nobody" in row.last_error for row in rows),
            limit=20,
            what="the endpoints are not who was asked for",
        )
        async with here.load(rate=20) as tally:
            assert all("missing" in fault or "nobody" in fault for fault in tally.faults), tally.faults
            assert tally.faults
        here.write_groups({"eu": (edited, addresses)})
        await here.until(lambda rows: all(row.version for row in rows), limit=20, what="they are back")
        async with here.load(rate=100) as tally:
            calls = tally.calls
            await here.until(lambda _: tally.calls > calls + 20, limit=10, what="calls go on")
            assert list(tally.faults) == []
