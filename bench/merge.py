"""How fast the kernels of the Series path are: four disjoint sorted streams in memory, merged."""

import time
from collections.abc import Sequence
from statistics import median

import anyio
from prometheus_client import CollectorRegistry

from app.demo.wire import field, framed, varint_field
from app.fanout.merging import Merge
from app.fanout.metrics import FanoutMetrics
from app.fanout.partial import Warnings
from app.fanout.source import Source

STREAMS = 4
SERIES = 20_000
"""Of each stream."""
CHUNKS = 8
CHUNK_SIZE = 110
BATCH = 64
BLOCK_SIZE = 512 * 1024


class _MemorySource(Source):
    """Mutable: how far it was read. A source whose answer is there already."""

    def __init__(self, blocks: Sequence[bytes]) -> None:
        super().__init__(None, without=(), resort_buffer=0)  # type: ignore[arg-type]
        self._blocks = iter(blocks)

    async def fetched(self, timeout: float, deadline: float) -> bytes | None:
        return next(self._blocks, None)


def series_entry(stream: int, number: int) -> bytes:
    """About 1.2 KB: six labels, eight chunks."""
    labels = {
        "__name__": "http_requests_total",
        "cluster": "eu-central",
        "instance": f"api-{number:08d}:9090",
        "job": "api",
        "pod": f"api-{number:08d}",
        "stream": str(stream),
    }
    body = b"".join(
        field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels.items()
    )
    for chunk in range(CHUNKS):
        begin = 1_700_000_000_000 + chunk * 1_800_000
        data = bytes((number + chunk + offset) & 255 for offset in range(CHUNK_SIZE))
        times = varint_field(1, begin) + varint_field(2, begin + 1_799_000)
        body += field(2, times + field(3, field(2, data)))
    return field(1, body)


def stream_blocks(stream: int, batch: int) -> list[bytes]:
    """The answer of one endpoint as its channel would hand it over."""
    entries = [series_entry(stream, number) for number in range(stream, SERIES * STREAMS, STREAMS)]
    messages = (
        [field(4, b"".join(entries[at : at + batch])) for at in range(0, len(entries), batch)]
        if batch > 1
        else entries
    )
    size = len(messages[0]) + 5
    step = max(1, BLOCK_SIZE // size)
    return [framed(messages[at : at + step]) for at in range(0, len(messages), step)]


async def _merge(streams: Sequence[Sequence[bytes]], batch: int) -> tuple[float, int]:
    """Seconds taken and bytes written."""
    written = 0

    async def send(frames: Sequence[bytes | bytearray | memoryview]) -> None:
        nonlocal written
        written += sum(len(frame) for frame in frames)

    warnings = Warnings(abort=True)
    merge = Merge(
        [_MemorySource(blocks) for blocks in streams],
        batch=batch,
        limit=0,
        response_timeout=0.0,
        warnings=warnings,
        send=send,
        metrics=FanoutMetrics(CollectorRegistry()),
    )
    begun = time.perf_counter()
    await merge.run()
    return time.perf_counter() - begun, written


def run(repeats: int = 5) -> list[tuple[str, float, str]]:
    """Medians: name, value, unit."""
    results: list[tuple[str, float, str]] = []
    for name, batch in (("batches of 64", BATCH), ("one series a message", 1)):
        streams = [stream_blocks(stream, batch) for stream in range(STREAMS)]
        anyio.run(_merge, streams, batch)
        measured = [anyio.run(_merge, streams, batch) for _ in range(repeats)]
        seconds = median(seconds for seconds, _ in measured)
        results.append((f"merge, {name}", SERIES * STREAMS / seconds, "series/s"))
        results.append((f"merge, {name}, bytes", measured[0][1] / seconds / 1e6, "MB/s"))
    entries = [framed([series_entry(stream, stream)]) for stream in range(STREAMS)]
    small = [[entry] for entry in entries]
    anyio.run(_merge, small, BATCH)
    tiny = [anyio.run(_merge, small, BATCH)[0] for _ in range(20)]
    results.append(("merge, four series in all", median(tiny) * 1e6, "µs"))
    return results


if __name__ == "__main__":
    for row in run():
        print(*row)
