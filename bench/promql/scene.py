"""The servers: the Prometheus that is asked by itself, and what the querier has behind it."""

import json
import urllib.parse
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import psutil
import yaml

from app.demo.probe import http_ask
from app.demo.processes import free_address, running, until_up
from bench.prometheus import binary
from bench.promql.data import END, QUERY_END, QUERY_START, REQUESTS, Dataset, linked
from bench.sidecar import server_flags, sidecar
from bench.stage import Material, querier

LIMIT = 300.0
"""Seconds for one answer."""
_POLL = 0.1
_SETTLED = 60.0


class Server(msgspec.Struct, frozen=True):
    """A process that is asked over HTTP."""

    address: str
    pid: int

    async def get(self, path: str) -> bytes:
        """The body of an answer.

        :raises RuntimeError: it is an error.
        """
        status, body = await http_ask("GET", f"http://{self.address}{path}", LIMIT)
        if status != 200:
            raise RuntimeError(f"{self.address}{path}: {status} {body[:1000]!r}")
        return body


class Behind(msgspec.Struct, frozen=True):
    """What the querier is over.

    :param flags: that the querier needs for it.
    :param urls: of the Prometheus servers.
    :param pids: processes by role: ``sidecars``, ``Prometheus servers``.
    """

    addresses: Sequence[str]
    urls: Sequence[str]
    flags: Sequence[str]
    pids: Mapping[str, Sequence[int]]


def range_path(
    query: str, step: int, *, start: int = QUERY_START, end: int = QUERY_END, stats: bool = False
) -> str:
    """
    :param step: seconds.
    :param start, end: milliseconds since the epoch.
    """
    params = {"query": query, "start": start // 1000, "end": end // 1000, "step": step}
    return "/api/v1/query_range?" + urllib.parse.urlencode(params | ({"stats": "true"} if stats else {}))


def instant_path(query: str) -> str:
    """At the end of the ranges."""
    return "/api/v1/query?" + urllib.parse.urlencode({"query": query, "time": QUERY_END // 1000})


@asynccontextmanager
async def prometheus(
    root: Path, blocks: Path, name: str, external_labels: Mapping[str, str]
) -> AsyncIterator[Server]:
    """A Prometheus over blocks that are there already; it scrapes nothing, and leaves them as they are."""
    address = free_address()
    directory = root / name
    directory.mkdir(exist_ok=True)
    config = directory / "prometheus.yml"
    config.write_text(yaml.safe_dump({"global": {"external_labels": dict(external_labels)}}))
    data = directory / "data"
    if not data.exists():
        await anyio.to_thread.run_sync(linked, blocks, data)
    command = [
        binary(), f"--config.file={config}", f"--storage.tsdb.path={data}", f"--web.listen-address={address}",
        "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h",
        "--storage.tsdb.retention.time=100y", "--storage.remote.read-sample-limit=0",
        "--query.max-samples=500000000", "--log.level=warn",
    ]  # fmt: skip
    async with running(name, command, directory, grace=20.0) as child:
        await until_up(child, f"http://{address}", 60.0)
        yield Server(address, child.pid)


@asynccontextmanager
async def behind(root: Path, material: Material, data: Dataset, topology: str) -> AsyncIterator[Behind]:
    """Two Prometheus servers with a sidecar each.

    ``shards``: each has the series of its shard, whose label is its external one, too; so the answers are
    those of one Prometheus with everything. ``ha``: both have everything, and the querier takes one for the
    other.
    """
    if topology == "ha":
        members = [(f"replica-{name}", data.whole, {"replica": name}) for name in ("a", "b")]
        flags = ["--query.replica-label=replica"]
    else:
        members = [(path.name, path, {"shard": path.name.rpartition("-")[2]}) for path in data.shards]
        flags = []
    addresses, urls, sidecars, servers = [], [], [], []
    async with AsyncExitStack() as stack:
        for name, blocks, labels in members:
            server = await stack.enter_async_context(prometheus(root, blocks, name, labels))
            child, address = await stack.enter_async_context(
                sidecar(f"http://{server.address}", root, server_flags(material), f"sidecar-{name}")
            )
            addresses.append(address)
            sidecars.append(child.pid)
            urls.append(f"http://{server.address}")
            servers.append(server.pid)
        yield Behind(addresses, urls, flags, {"sidecars": sidecars, "Prometheus servers": servers})


@asynccontextmanager
async def ready_querier(
    root: Path, material: Material, below: Behind, data: Dataset
) -> AsyncIterator[Server]:
    """The querier, entered when it sees all series.

    :raises RuntimeError: it never does.
    """
    flags = ["--query.max-samples=500000000", *below.flags]
    async with querier(root, material, below.addresses, flags=flags) as found:
        server = Server(found.http_url.removeprefix("http://"), found.child.pid)
        path = "/api/v1/query?" + urllib.parse.urlencode(
            {"query": f"count({REQUESTS})", "time": END // 1000 - 60}
        )
        seen: object = None
        with anyio.move_on_after(_SETTLED):
            while seen != str(data.series):
                result = json.loads(await server.get(path))["data"]["result"]
                seen = result[0]["value"][1] if result else None
                await anyio.sleep(_POLL)
        if seen != str(data.series):
            raise RuntimeError(f"the querier sees {seen} series instead of {data.series}")
        yield server


def cpu_seconds(pids: Sequence[int]) -> float:
    """Of processes so far, user and system."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)
