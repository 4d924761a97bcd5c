"""How fast the way from gRPC frames to samples is: scan, grouping, decode and merge, in memory.

``python -m bench.select``: 10,000 series of 1,440 samples, alone and from two replicas.
"""

import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np

from app.demo.wire import field, framed, varint_field
from app.engine import kernels
from app.engine.select.assembling import assemble
from app.engine.select.decode import decode, mode, spares
from app.engine.select.intake import Intake
from app.engine.select.model import ChunkTable
from app.engine.select.odd import Purpose
from app.sidecar.kernels.sampled import encode

SERIES = 10_000
SAMPLES = 1_440
CHUNK_SAMPLES = 120
STEP = 15_000
BEGIN = 1_700_000_000_000
BLOCK_SERIES = 256


def entry(number: int, replica: int) -> bytes:
    """One counter of six labels, the replica's own beside them; scraped with a jitter of milliseconds."""
    chance = np.random.default_rng(number * 2 + replica)
    times = BEGIN + replica * 5_000 + np.arange(SAMPLES) * STEP + (chance.random(SAMPLES) < 0.05) * 3
    values = np.cumsum(chance.integers(0, 100, SAMPLES)).astype(np.float64).view(np.uint64)
    labels = {
        "__name__": "http_requests_total",
        "cluster": "eu-central",
        "code": str(200 + number % 4),
        "instance": f"api-{number // 4:05d}:9090",
        "job": "api",
        "replica": str(replica),
    }
    body = b"".join(
        field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels.items()
    )
    out = np.empty(CHUNK_SAMPLES * 20 + 64, np.uint8)
    for first in range(0, SAMPLES, CHUNK_SAMPLES):
        last = first + CHUNK_SAMPLES
        size = int(encode(times, values, first, last, out, 0))
        moments = varint_field(1, int(times[first])) + varint_field(2, int(times[last - 1]))
        body += field(2, moments + field(3, field(2, out[:size].tobytes())))
    return field(1, body)


def blocks(replicas: int) -> Iterator[bytearray]:
    """Batches of 64, some to a block."""
    for replica in range(replicas):
        for low in range(0, SERIES, BLOCK_SERIES):
            entries = [entry(number, replica) for number in range(low, min(low + BLOCK_SERIES, SERIES))]
            batches = [field(4, b"".join(entries[at : at + 64])) for at in range(0, len(entries), 64)]
            yield bytearray(framed(batches))


def timed(work: Callable[[], object], repeats: int = 5) -> float:
    """Milliseconds of this thread's processor time, the median."""
    taken = []
    for _ in range(repeats):
        begun = time.thread_time()
        work()
        taken.append(time.thread_time() - begun)
    return 1000 * median(taken)


def taken_in(found: list[bytearray]) -> Intake:
    intake = Intake(["replica"])
    for block in found:
        intake.add(block)
    return intake


def rows_decoded(table: ChunkTable, counts: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
    """What the fast path does with a batch of rows at a time: the same arrays again and again."""
    cancel = np.zeros(1, np.uint8)
    spare_times, spare_values = spares(table, counts)
    room = 64 * int(counts.max())
    times, values, ends = np.empty(room, np.int64), np.empty(room, np.float64), np.empty(64, np.int64)
    for low in range(0, len(table), 64):
        high = min(low + 64, len(table))
        kernels.decode_rows(
            table.data, table.lanes, table.chunks, table.offset, table.length, low, high, table.start,
            table.end, mode(table), times, values, ends, spare_times, spare_values, cancel,
        )  # fmt: skip


def measured(replicas: int) -> list[tuple[str, float]]:
    """Of one size of answer."""
    cancel = np.zeros(1, np.uint8)
    found = list(blocks(replicas))
    size = sum(len(block) for block in found)
    purpose = Purpose(start=BEGIN, end=BEGIN + SAMPLES * STEP + 10_000)
    taken_in(found[:1])
    intakes = iter([taken_in(found) for _ in range(6)])
    table = assemble(next(intakes), purpose, cancel)
    decode(table, cancel)
    counts = np.empty(len(table), np.int64)
    kernels.count_samples(
        table.data, table.lanes, table.chunks, table.offset, table.length, 0, len(table), counts, cancel
    )
    rows_decoded(table, counts)
    return [
        (f"{replicas} x {SERIES} series, {size / 1e6:.0f} MB: scan", timed(lambda: taken_in(found))),
        ("  assemble", timed(lambda: assemble(next(intakes), purpose, cancel))),
        ("  decode to Series", timed(lambda: decode(table, cancel))),
        ("  decode_rows, arrays reused", timed(lambda: rows_decoded(table, counts))),
    ]


if __name__ == "__main__":
    for name, milliseconds in [*measured(1), *measured(2)]:
        print(f"{name}: {milliseconds:.1f} ms")
