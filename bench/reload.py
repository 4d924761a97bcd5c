"""A reload of an endpoints file with 500 groups of one endpoint each, in which one `tls_config` changed."""

import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import anyio

from app.demo.board import EndpointRow, rows
from app.demo.probe import http_ask, http_get
from app.demo.processes import running_store
from app.demo.realms import write_endpoints
from bench.endpoints import store_flags
from bench.figure import Figure
from bench.polling import lag_buckets, quantile
from bench.stage import Material, Running, querier, stage

PROCESSES, EACH = 2, 250
CONNECTED_WITHIN = 120.0
"""Seconds."""


async def _rows(running: Running) -> list[EndpointRow]:
    _, body = await http_get(f"{running.http_url}/api/v1/stores")
    return rows(body, time.time())


async def _connected(running: Running, since: dict[str, float]) -> list[EndpointRow]:
    """Wait until every group has the connections that it is to have, made after its time in `since`."""
    with anyio.fail_after(CONNECTED_WITHIN):
        while True:
            found = await _rows(running)
            if all((row.connected_at or -1.0) > since.get(row.group, 0.0) for row in found):
                return found
            await anyio.sleep(0.5)


def _write(path: Path, material: Material, addresses: Sequence[str], edited: int) -> None:
    """One group for each endpoint. Group `edited` verifies the host by name."""
    plain = material.tls_config()
    write_endpoints(
        path,
        {
            f"realm-{number}": (
                {**plain, "server_name": "localhost"} if number == edited else plain,
                [address],
            )
            for number, address in enumerate(addresses)
        },
    )


def _touched(before: Sequence[EndpointRow], after: Sequence[EndpointRow]) -> list[str]:
    """Groups with another connection than before."""
    known = {row.address: row for row in before}
    return [row.group for row in after if row.handshakes != known[row.address].handshakes]


async def run(runs: int) -> list[Figure]:
    """Seconds from the request to its answer: the file is read, checked and in force."""
    async with stage() as (root, material), AsyncExitStack() as stack:
        addresses: list[str] = []
        for number in range(PROCESSES):
            _, found = await stack.enter_async_context(
                running_store(f"stores-{number}", store_flags(material, EACH), root, limit=60)
            )
            addresses.extend(found)
        flags = ["--web.enable-lifecycle", "--endpoint.sd-config-reload-interval=1h"]
        running = await stack.enter_async_context(querier(root, material, addresses, flags=flags))
        endpoints = root / "endpoints.yaml"
        times: list[float] = []
        others = 0
        lag: dict[float, float] = {}
        groups = [f"realm-{number}" for number in range(len(addresses))]
        before = await _connected(running, {})
        for edited in range(-1, runs):
            _write(endpoints, material, addresses, edited)
            lag_before = await lag_buckets(running.http_url)
            begun, at = time.monotonic(), time.time()
            status, body = await http_ask("POST", f"{running.http_url}/-/reload", 60.0)
            taken = time.monotonic() - begun
            assert status == 200, body
            # The group that was edited before is changed back. At first all are new, but the one that goes on
            # with the connection of the single group that there was.
            meant = groups[1:] if edited < 0 else groups[max(0, edited - 1) : edited + 1]
            after = await _connected(running, dict.fromkeys(meant, at))
            if edited >= 0:
                times.append(taken)
                others += len(set(_touched(before, after)) - set(meant))
                now = await lag_buckets(running.http_url)
                lag = {bound: lag.get(bound, 0.0) + now[bound] - lag_before[bound] for bound in now}
            before = after
    count, late = len(addresses), quantile(dict.fromkeys(lag, 0.0), lag, 0.99) * 1e3
    return [
        Figure(
            name=f"a reload of {count} endpoints in {count} groups, one changed",
            value=statistics.median(times),
            unit="s",
            target=1.0,
            better="<",
            detail=f"slowest {max(times):.2f} s; loop lag p99 at most {late:g} ms",
        ),
        Figure(name="the same: other connections touched", value=others, unit="", target=0, better="<="),
    ]
