"""Series like those of the demo service that the compliance suite asks for, the same in every run.

Three instances are scraped every 5 s, each at its own moment; no query is asked at a multiple of it.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.engine.model import STALE, Series, labels_of
from tests.interop.compliance_table import INSTANCES

INTERVAL = 5_000
END = 1_700_006_403_150
"""Milliseconds since the epoch: the last step. Neither this time nor the begin of a window before it is one
at which something is scraped, or a subquery evaluated: windows of Prometheus 2 include their begin."""
START, STEP = END - 600_000, 10_000
_PHASES = (700, 2_300, 3_900)
_BEFORE, _AFTER = 75 * 60_000, 11 * 60_000
"""Milliseconds around the range: the longest window and offset each way."""
_BOUNDS = ("0.0001", "0.001", "0.01", "0.1", "1", "+Inf")

Floats = NDArray[np.float64]


def demo_series() -> list[Series]:
    """What the table's queries find."""
    return [each for place in range(len(INSTANCES)) for each in _of_instance(place)]


def _of_instance(place: int) -> Iterator[Series]:
    chance = np.random.default_rng(place)
    first = (START - _BEFORE) // INTERVAL * INTERVAL + _PHASES[place]
    times = np.arange(first, END + _AFTER, INTERVAL, dtype=np.int64)
    target = {"instance": INSTANCES[place], "job": "demo"}

    def series(name: str, values: Floats, at: NDArray[np.int64] = times, **labels: str) -> Series:
        return Series(labels_of({"__name__": name, **target, **labels}), at, values)

    count = times.size
    for kind, share in (("buffers", 0.1), ("cached", 0.3), ("free", 0.4), ("used", 0.2)):
        noise = chance.normal(0, 1e6, count).cumsum().round()
        yield series("demo_memory_usage_bytes", share * 8e9 + noise, type=kind)
    for mode, speed in (("idle", 3.0), ("system", 0.4), ("user", 0.6)):
        values = 1e4 * speed + (chance.random(count) * 2 * speed * INTERVAL / 1000).cumsum()
        if mode == "user":
            values[count // 2 :] -= values[count // 2] - 0.25
        yield series("demo_cpu_usage_seconds_total", values, mode=mode)
    yield series("demo_disk_usage_bytes", 2e10 + (chance.random(count) * 1e5).cumsum().round())
    yield series("demo_disk_total_bytes", np.full(count, 1e11))
    yield series("demo_num_cpus", np.full(count, 4.0))
    runs = times // 1000 // 83 * 83 + place
    yield series("demo_batch_last_success_timestamp_seconds", runs.astype(float))
    yield from _durations(chance, times, target)
    yield _intermittent(times, target)


def _durations(
    chance: np.random.Generator, times: NDArray[np.int64], target: dict[str, str]
) -> Iterator[Series]:
    for path in ("/api/bar", "/api/foo"):
        labels = {**target, "method": "GET", "path": path, "status": "200"}
        buckets = chance.poisson(3, (len(_BOUNDS), times.size)).cumsum(axis=1).cumsum(axis=0).astype(float)
        for bound, values in zip(_BOUNDS, buckets, strict=True):
            yield Series(
                labels_of({"__name__": "demo_api_request_duration_seconds_bucket", **labels, "le": bound}),
                times,
                values,
            )
        totals = {"count": buckets[-1], "sum": buckets[-1] * 0.017 + chance.random(times.size).cumsum()}
        for name, values in totals.items():
            yield Series(
                labels_of({"__name__": f"demo_api_request_duration_seconds_{name}", **labels}), times, values
            )


def _intermittent(times: NDArray[np.int64], target: dict[str, str]) -> Series:
    """There for half a minute, gone for half a minute: a stale marker, then nothing."""
    there = times // 30_000 % 2 == 0
    ends = np.flatnonzero(there[:-1] & ~there[1:]) + 1
    values = np.where(there, 1.0, STALE)
    there[ends] = True
    return Series(labels_of({"__name__": "demo_intermittent_metric", **target}), times[there], values[there])
