"""`POST /-/reload` works with `--web.enable-lifecycle` only; its answer has every fault."""

from pathlib import Path

import pytest

from tests.harness import world

pytestmark = pytest.mark.anyio


async def test_it_is_forbidden_by_default(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",), replicas=("a",)) as here:
        assert await here.querier.post("/-/reload") == (403, "Lifecycle API is not enabled.")
        assert (await here.querier.get("/-/reload"))[0] == 405


async def test_it_applies_before_it_answers(tmp_path: Path) -> None:
    flags = ["--web.enable-lifecycle", "--endpoint.sd-config-reload-interval=1h"]
    async with world(tmp_path, realms=("eu",), replicas=("a",), flags=flags) as here:
        here.write_groups({"europe": here.groups["eu"]})
        assert await here.querier.post("/-/reload") == (200, "")
        assert [row.group for row in await here.querier.stores()] == ["europe"]
        here.endpoints.write_text("- endpoints: [a]\n- endpoints: [b]\n")
        status, body = await here.querier.post("/-/reload")
        assert status == 500
        assert body.startswith("failed to reload config: ")
        assert body.count("has no port") == 2
        assert [row.group for row in await here.querier.stores()] == ["europe"]
