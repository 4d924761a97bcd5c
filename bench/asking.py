"""Client processes, told over their stdin when to ask."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import anyio.to_thread

from bench.stage import Material


class Asker:
    """A client in a process of its own; asked over its stdin."""

    def __init__(
        self, client: str, address: str, batch: int, material: Material, flags: Sequence[str] = ()
    ) -> None:
        command = [
            sys.executable,
            "-m",
            "bench.asker",
            client,
            address,
            f"--batch={batch}",
            *material.flags(),
            *flags,
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    async def ask(self, line: str = "ask") -> dict[str, Any]:
        """One call."""
        return await anyio.to_thread.run_sync(self._ask, line)

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the client ended")
        return dict(json.loads(answer))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
