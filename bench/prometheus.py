"""Debian's Prometheus as a process, filled by remote write with random series, always the same ones."""

import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import cramjam
import httpx
import msgspec
import numpy as np
import numpy.typing as npt

from app.demo.probe import until_ready
from app.demo.processes import free_address, running
from app.fanout.wire import field

STEP = 15
"""Seconds between two samples."""
WINDOW = 120
"""Samples of each series in one request; half an hour, which the head takes in any order of the series."""
TOGETHER = 500
"""Series in one request."""


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """A running Prometheus.

    :param pid: of its process.
    :param start, end: milliseconds since the epoch of the first and the last sample.
    """

    url: str
    pid: int
    start: int
    end: int


def labels_of(index: int) -> list[tuple[str, str]]:
    """A tenth of the series each: ten codes, then instances."""
    return [
        ("__name__", "bench_requests_total"),
        ("code", f"{200 + index % 10}"),
        ("handler", f"/api/v1/handler-{index // 10 % 10}"),
        ("instance", f"10.0.{index // 100 // 256}.{index // 100 % 256}:9100"),
        ("job", "bench"),
    ]


def _encoded(labels: list[tuple[str, str]]) -> bytes:
    return b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels)


def _writes(series: int, times: npt.NDArray[np.int64]) -> Iterator[bytes]:
    """Bodies of remote-write requests."""
    chance = np.random.default_rng(7)
    encoded = [_encoded(labels_of(index)) for index in range(series)]
    values = chance.integers(0, 1000, series).astype(np.float64)
    for first in range(0, times.size, WINDOW):
        part = times[first : first + WINDOW]
        steps = chance.poisson(chance.uniform(0.5, 40, (series, 1)), (series, part.size))
        counted = values[:, None] + np.cumsum(steps, axis=1)
        values = counted[:, -1]
        for begin in range(0, series, TOGETHER):
            block = _samples(part, counted[begin : begin + TOGETHER])
            body = b"".join(
                field(1, encoded[begin + row] + block[row].tobytes()) for row in range(block.shape[0])
            )
            yield bytes(cramjam.snappy.compress_raw(body))


def _samples(times: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Samples{1 value, 2 timestamp} with their tags: 18 bytes each, since times of today take six."""
    block = np.zeros((*values.shape, 18), np.uint8)
    block[..., 0], block[..., 1], block[..., 2], block[..., 11] = 0x12, 16, 0x09, 0x10
    block[..., 3:11] = values.astype("<f8").view(np.uint8).reshape(*values.shape, 8)
    for byte in range(6):
        more = 0x80 if byte < 5 else 0
        block[..., 12 + byte] = (times >> (7 * byte) & 0x7F).astype(np.uint8) | more
    return block


def binary() -> str:
    """Where Prometheus is.

    :raises SystemExit: it is not installed.
    """
    found = shutil.which("prometheus")
    if found is None:
        raise SystemExit("this needs prometheus (Debian package: prometheus)")
    return found


@asynccontextmanager
async def prometheus(
    root: Path, series: int, hours: float, name: str = "prometheus"
) -> AsyncIterator[Filled]:
    """A Prometheus with `series` series of `hours` at 15 s, up to now."""
    address = free_address()
    directory = root / name
    directory.mkdir()
    config = directory / "prometheus.yml"
    config.write_text(f"global:\n  external_labels: {{realm: bench, replica: {name}}}\n")
    command = [
        binary(), f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}", "--web.enable-remote-write-receiver", "--log.level=warn",
        "--storage.remote.read-sample-limit=0", "--query.max-samples=500000000",
    ]  # fmt: skip
    async with running(name, command, directory, grace=20.0) as child:
        url = f"http://{address}"
        with anyio.fail_after(30):
            await until_ready(url)
        end = int(time.time()) // STEP * STEP * 1000
        start = end - int(hours * 3600) * 1000
        times = np.arange(start, end, STEP * 1000, dtype=np.int64)
        await _fill(url, series, times)
        yield Filled(url=url, pid=child.pid, start=int(times[0]), end=int(times[-1]))


async def _fill(url: str, series: int, times: npt.NDArray[np.int64]) -> None:
    headers = {
        "content-encoding": "snappy",
        "content-type": "application/x-protobuf",
        "x-prometheus-remote-write-version": "0.1.0",
    }
    async with httpx.AsyncClient(timeout=120) as client:
        for body in _writes(series, times):
            answer = await client.post(f"{url}/api/v1/write", content=body, headers=headers)
            if answer.status_code // 100 != 2:
                raise RuntimeError(f"remote write: {answer.status_code} {answer.text}")
