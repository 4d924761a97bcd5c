"""How fast queries are evaluated on columns: tables of chunks in memory, no network.

10,000 series of 1,440 samples, 15 s apart; a range query at 30 s steps. `--threads` says how many take part.
"""

import argparse
import random
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from app.demo.xor import encode
from app.engine.fast import evaluate, plan, selectors, write_json
from app.engine.fast.workers import Workers
from app.engine.model import Annotations, Query
from app.engine.promql.parser import parse
from app.engine.select.model import ChunkTable, LabelColumns

SERIES = 10_000
CHUNKS = 12
SAMPLES = 120
"""Of each chunk."""
INTERVAL = 15_000
START = 1_700_000_000_000
_DISTINCT = 64
"""Series whose samples differ; the others repeat them."""

QUERIES = {
    "sum by (job) (rate 5m)": "sum by (job) (rate(requests_total[5m]))",
    "sum(rate 5m)": "sum(rate(requests_total[5m]))",
    "rate 5m": "rate(requests_total[5m])",
    "increase 1h": "sum by (job) (increase(requests_total[1h]))",
    "avg_over_time 10m": "sum(avg_over_time(requests_total[10m]))",
    "max by (job)": "max by (job) (requests_total)",
    "topk(5)": "topk(5, requests_total)",
    "ratio": "sum by (job) (rate(requests_total[5m])) / on (job) group_left () sum by (job) (requests_total)",
    "vector + vector": "sum(requests_total + requests_total)",
}


def _chunks(seed: int, samples: int) -> list[bytes]:
    """A counter with a little jitter of its times."""
    chance = random.Random(seed)
    value, offset = float(chance.randrange(10**6)), chance.randrange(INTERVAL)
    made: list[bytes] = []
    for chunk in range(CHUNKS):
        content = []
        for place in range(samples):
            value += chance.randrange(50)
            jitter = chance.choice((0, 0, 0, 0, 0, 1, -1, 2))
            content.append((START + offset + (chunk * samples + place) * INTERVAL + jitter, value))
        made.append(encode(content))
    return made


def _labels(series: int) -> LabelColumns:
    strings = ["__name__", "instance", "job", "pod", "requests_total"]
    strings += [f"job-{number}" for number in range(10)]
    strings += [f"10.0.0.{number}:9090" for number in range(series)]
    values = np.empty((series, 4), np.int32)
    values[:, 0] = 4
    values[:, 1] = values[:, 3] = np.arange(15, 15 + series)
    values[:, 2] = 5 + np.arange(series) % 10
    return LabelColumns(strings, np.tile(np.array([0, 1, 2, 3], np.int32), (series, 1)), values)


def make_table(series: int = SERIES) -> ChunkTable:
    """The series of the benchmark."""
    prototypes = [_chunks(seed, SAMPLES) for seed in range(_DISTINCT)]
    parts = [chunk for number in range(series) for chunk in prototypes[number % _DISTINCT]]
    length = np.array([len(part) for part in parts], np.int64)
    return ChunkTable(
        columns=_labels(series),
        data=np.frombuffer(b"".join(parts) + bytes(16), np.uint8),
        lanes=np.arange(series + 1, dtype=np.int64),
        chunks=np.arange(series + 1, dtype=np.int64) * CHUNKS,
        offset=np.cumsum(length) - length,
        length=length,
        start=0,
        end=1 << 50,
    )


def _median(action: Callable[[], object], runs: int) -> float:
    """Seconds, the first run left out."""
    action()
    taken = []
    for _ in range(runs):
        begun = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begun)
    return median(taken)


def run(threads: int, series: int = SERIES, runs: int = 5) -> list[tuple[str, float, str]]:
    """Medians: name, value, unit."""
    table, workers = make_table(series), Workers(threads)
    first = START + 600_000
    end = START + CHUNKS * SAMPLES * INTERVAL
    results: list[tuple[str, float, str]] = []

    def evaluated(text: str) -> tuple[object, Query]:
        query = Query(text, first, end, 30_000)
        made = plan(parse(text), query)
        tables = dict.fromkeys(range(len(selectors(made))), table)
        found = evaluate(made, tables, np.zeros(1, np.uint8), Annotations(), workers)
        return found, query

    for name, text in QUERIES.items():
        results.append((name, _median(lambda text=text: evaluated(text), runs) * 1e3, "ms"))  # type: ignore[misc]
    found, query = evaluated(QUERIES["rate 5m"])
    points = len(found) * found.steps.count  # type: ignore[arg-type, attr-defined]
    seconds = _median(lambda: [len(part) for part in write_json(found, query, workers)], runs)  # type: ignore[arg-type]
    results.append(("JSON of rate 5m", seconds / points * 1e9, "ns a point"))
    workers.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--series", type=int, default=SERIES)
    chosen = parser.parse_args()
    for name, value, unit in run(chosen.threads, chosen.series):
        print(f"{name}: {value:.1f} {unit}")


if __name__ == "__main__":
    main()
