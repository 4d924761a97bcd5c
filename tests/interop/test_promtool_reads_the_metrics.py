"""promtool reads what is scraped off a querier and a sidecar, and finds little to complain of."""

import subprocess
from pathlib import Path

import anyio.to_thread
import pytest

from app.demo.probe import http_get
from tests.harness.metrics import on_the_page
from tests.harness.programs import program
from tests.harness.stack import stack

pytestmark = pytest.mark.anyio

# Names of Thanos and of client libraries, which are as they are; and of counts that end in a unit.
EXCEPTED = (
    "prometheus_sd_file_mtime_seconds",
    "python_gc_",
)


async def complaints(text: bytes) -> list[str]:
    command = [program("promtool"), "check", "metrics"]

    def run() -> str:
        return subprocess.run(
            command, input=text, capture_output=True, timeout=30, check=False
        ).stderr.decode()

    lines = (await anyio.to_thread.run_sync(run)).splitlines()
    return [line for line in lines if line and not line.startswith(EXCEPTED)]


async def test_promtool_reads_the_metrics(tmp_path: Path) -> None:
    program("promtool")
    described = {metric.name for metric in on_the_page()}
    async with stack(tmp_path, samples=1, members=[("local", "a")]) as running:
        member = running.members["local", "a"]
        for address in (running.querier.http_address, member.http_address):
            _, text = await http_get(f"http://{address}/metrics")
            assert await complaints(text) == []
            families = {line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")}
            own = {name for name in families if not name.startswith(("process_", "python_"))}
            # prometheus_client tells when a counter began in a family of its own.
            assert {name for name in own if not name.endswith("_created")} <= described
            assert len(own) > 30
