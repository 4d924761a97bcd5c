"""``crossrealm query`` as a process, and what can be seen of it from outside."""

import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import psutil
from prometheus_client.parser import text_string_to_metric_families

from app.demo.board import EndpointRow, rows
from app.demo.probe import http_ask, http_get
from app.demo.processes import Child, free_address, running_querier
from app.demo.realms import Front


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What a process holds. `connections` are established TCP connections; `resident` is in bytes."""

    connections: int
    descriptors: int
    threads: int
    resident: int


class Querier:
    """Immutable: a running querier and where it listens."""

    def __init__(self, child: Child, grpc_address: str, http_address: str) -> None:
        self.child = child
        self.grpc_address = grpc_address
        self.http_url = f"http://{http_address}"
        self._process = psutil.Process(child.pid)

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; 0 where nobody answers."""
        return await http_get(self.http_url + path)

    async def post(self, path: str) -> tuple[int, str]:
        """Status and body; 0 where nobody answers."""
        status, body = await http_ask("POST", self.http_url + path, 30.0)
        return status, body.decode()

    async def stores(self) -> list[EndpointRow]:
        asked_at = time.time()
        status, body = await self.get("/api/v1/stores")
        assert status == 200, body
        return rows(body, asked_at)

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples called `name` that have `labels`; 0 where there is none."""
        _, body = await self.get("/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def counts(self) -> Counts:
        with self._process.oneshot():
            established = [
                each
                for each in self._process.net_connections(kind="tcp")
                if each.status == psutil.CONN_ESTABLISHED
            ]
            return Counts(
                connections=len(established),
                descriptors=self._process.num_fds(),
                threads=self._process.num_threads(),
                resident=self._process.memory_info().rss,
            )

    def log(self) -> str:
        """All that it has written so far."""
        return self.child.log.read_text(errors="replace")

    def send_signal(self, number: signal.Signals) -> None:
        self.child.send_signal(number)


@asynccontextmanager
async def querier(
    directory: Path,
    flags: Sequence[str],
    *,
    front: Front | None = None,
    name: str = "querier",
    limit: float = 120.0,
) -> AsyncIterator[Querier]:
    """The command with `flags`, on free ports, entered when it is ready.

    :param front: its listener's certificates; None: plaintext.
    :param limit: seconds to become ready.
    :raises ChildError: it ended, or did not become ready; with the end of its log.
    """
    logs = directory / "logs"
    logs.mkdir(exist_ok=True)
    grpc_address, http_address = free_address(), free_address()
    all_flags = [f"--grpc-address={grpc_address}", *(front.flags() if front else []), *flags]
    async with running_querier(all_flags, logs, http_address=http_address, name=name, limit=limit) as child:
        yield Querier(child, grpc_address, http_address)
