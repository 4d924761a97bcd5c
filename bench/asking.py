"""Client processes, told over their stdin when to ask."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import anyio.to_thread

from bench.stage import Material


class Worker:
    """A process that does something once for each line on its stdin, and prints a JSON object.

    :param module: with its arguments.
    """

    def __init__(self, module: Sequence[str]) -> None:
        command = [sys.executable, "-m", *module]
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


class Asker(Worker):
    """A client in a process of its own.

    :param material: None is plaintext.
    """

    def __init__(
        self, client: str, address: str, batch: int, material: Material | None, flags: Sequence[str] = ()
    ) -> None:
        tls = material.flags() if material else []
        super().__init__(["bench.asker", client, address, f"--batch={batch}", *tls, *flags])
