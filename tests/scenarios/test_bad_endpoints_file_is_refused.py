"""An endpoints file that is at fault is refused, with every fault in the log; what was in force goes on.

Nothing restarts and no call fails. The metric says so until a good file is there, which then applies. With
`--tls.startup=strict` a file that names certificates which cannot be used is refused too.
"""

from pathlib import Path

import pytest

from tests.harness import world

pytestmark = pytest.mark.anyio

SUCCESSFUL = "crossrealm_endpoints_config_last_reload_successful"


async def test_bad_endpoints_file_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",)) as here, here.load(rate=200) as tally:
        before = await here.querier.stores()
        here.endpoints.write_text("- name: eu\n  endpoints: [nowhere]\n  mode: strickt\n- nome: us\n")
        await here.until(lambda _: "endpoints file refused" in here.querier.log(), limit=20, what="refused")
        log = here.querier.log()
        for fault in (
            "endpoints.yaml:2: item 1 (eu): endpoints: 'nowhere' has no port",
            "endpoints.yaml:3: item 1 (eu): mode: 'strickt' is not a mode",
            "endpoints.yaml:4: item 2: nome: unknown key",
        ):
            assert fault in log
        assert await here.querier.metric(SUCCESSFUL) == 0
        calls = tally.calls
        await here.until(lambda _: tally.calls > calls + 50, limit=10, what="calls go on")
        after = await here.querier.stores()
        assert [(row.address, row.handshakes) for row in after] == [
            (row.address, row.handshakes) for row in before
        ]
        here.write_groups({"first": (None, []), **here.groups})
        await here.until(lambda _: "endpoints file reloaded" in here.querier.log(), limit=20, what="applied")
        assert await here.querier.metric(SUCCESSFUL) == 1
        assert list(tally.faults) == []


async def test_strict_start_up_holds_for_reloads_too(tmp_path: Path) -> None:
    flags = ["--tls.startup=strict", "--web.enable-lifecycle"]
    async with world(tmp_path, realms=("eu",), replicas=("a",), flags=flags) as here:
        late = tmp_path / "late.crt"
        groups = {**here.groups, "late": ({"ca_file": str(late)}, [])}
        here.write_groups(groups)
        status, body = await here.querier.post("/-/reload")
        assert status == 500
        assert body.startswith("failed to reload config: group late: ")
        assert str(late) in body
        late.write_bytes(here.realms["eu"].authority.pem)
        await here.until(
            lambda _: "endpoints file reloaded" in here.querier.log(), limit=20, what="it is tried again"
        )
        assert await here.querier.metric(SUCCESSFUL) == 1
