"""A new client certificate that the endpoints refuse fails no call: the last good one goes on.

The querier's new certificate comes from a CA that the stores do not trust. The status page says that it was
refused; a certificate that they accept is in use without anybody's help.
"""

from pathlib import Path

import anyio
import pytest

from tests.harness import Authority, world

pytestmark = pytest.mark.anyio


async def test_refused_new_identity_falls_back(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",), drain_window=1.0) as here:
        eu = here.realms["eu"]
        trusted = eu.authority
        async with here.load(rate=100) as tally:
            eu.authority = Authority("a CA that no store trusts")
            refused = eu.renew_querier().serial
            with anyio.fail_after(20):
                while await here.querier.metric("crossrealm_client_handshakes_total", result="failed") < 1:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
            calls = tally.calls
            with anyio.fail_after(10):
                while tally.calls < calls + 100:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
            assert all(row.client_serial != refused for row in await here.querier.stores())
            await here.until(lambda rows: all(row.connected_at for row in rows), limit=10)
            assert b'"identityRefused":"' in (await here.querier.get("/api/v1/stores"))[1]
            eu.authority = trusted
            eu.renew_querier()
            await here.in_use(eu, limit=30)
        assert list(tally.faults) == []
