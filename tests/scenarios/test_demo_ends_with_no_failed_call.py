"""``crossrealm demo`` keeps its word: it rotates everything under load, fails no call, and leaves nothing."""

import json
import os
import sys
from pathlib import Path

import anyio
import psutil
import pytest

pytestmark = pytest.mark.anyio


@pytest.mark.alone
@pytest.mark.timeout(180)
async def test_demo_ends_with_no_failed_call(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app", "demo", "--duration", "12s", "--json"]
    with anyio.fail_after(150):
        process = await anyio.run_process(command, check=False, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert process.returncode == 0, process.stderr.decode()
    summary = json.loads(process.stdout)
    assert summary["failed"] == 0
    assert summary["calls"] > 500
    assert min(summary["rotations_by_kind"].values()) >= 1
    assert summary["rotations"] >= 4
    assert summary["handshakes"] > 20
    assert {row["group"] for row in summary["endpoints"]} == {"eu", "us", "local"}
    assert len(summary["endpoints"]) == 6
    for row in summary["endpoints"]:
        assert row["version"] == ("" if row["group"] == "local" else "TLSv1.3")
        assert row["calls"] > 0
    assert os.listdir(tmp_path) == [], "keys stay behind"
    children = [child for child in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(child.info)]
    assert children == []
