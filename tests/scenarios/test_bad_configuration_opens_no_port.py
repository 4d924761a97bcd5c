"""A configuration that is wrong exits with 2, and no port was open.

That is: flags, the endpoints file, the listener's own pair.

So do missing client files, where the operator asked for `--tls.startup=strict`.
"""

import sys
from pathlib import Path

import anyio
import pytest

from app.demo.processes import free_address
from tests.harness import Authority, Front, write_endpoints

pytestmark = pytest.mark.anyio


async def refused_start(flags: list[str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "app", "query", *flags]
    with anyio.fail_after(30):
        done = await anyio.run_process(command, check=False)
    return done.returncode, done.stderr.decode()


async def test_bad_configuration_opens_no_port(tmp_path: Path) -> None:
    front = Front(tmp_path / "front", Authority("front CA"))
    missing = {"ca_file": str(tmp_path / "missing.crt")}
    write_endpoints(tmp_path / "endpoints.yaml", {"eu": (missing, ["127.0.0.1:1"])})
    empty = tmp_path / "empty.yaml"
    empty.write_text("- endpoints: [127.0.0.1:1]\n  tls_config: null\n")
    torn = [*front.flags()]
    torn[1] = f"--grpc-server-tls-key={front.client.key_file}"
    cases = {
        "no port for the address": ["--grpc-address=nowhere"],
        "null TLS": [f"--endpoints.config={empty}"],
        "the listener's pair is torn": torn,
        "strict start": [f"--endpoints.config={tmp_path / 'endpoints.yaml'}", "--tls.startup=strict"],
    }
    for what, flags in cases.items():
        ports = [f"--http-address={free_address()}"]
        ports += [] if "--grpc-address" in flags[0] else [f"--grpc-address={free_address()}"]
        code, said = await refused_start([*ports, *flags])
        assert code == 2, f"{what}: {code}: {said}"
        assert "error:" in said and "Traceback" not in said, said
        assert "msg=listening" not in said, said
