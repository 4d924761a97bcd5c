"""Series of eight hours at 15 s as blocks of Prometheus, made once: OpenMetrics text through promtool.

Three families of the same number of series: counters, gauges, and buckets of histograms. Each instance has 40
series of each family and one shard, by a hash; the scrapes of an instance share their times, of which one in
twenty is some milliseconds off and one in a thousand is missing. The whole has the shard as a label; a shard
by itself does not, since there it is an external label, which Prometheus does not store.
"""

import concurrent.futures
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from numpy.typing import NDArray

REQUESTS = "api_requests_total"
GAUGES = "node_gauge"
BUCKETS = "api_latency_seconds_bucket"
SHARDS = 2
PER_INSTANCE = 40
"""Series of each family."""
INTERVAL = 15_000
"""Milliseconds between two scrapes."""
BEGIN = 1_750_003_200_000
"""Milliseconds since the epoch; a block begins there."""
BLOCK = 7_200_000
BLOCKS = 4
END = BEGIN + BLOCKS * BLOCK
QUERY_END = END - 900_000
QUERY_START = QUERY_END - 6 * 3_600_000
"""A multiple of the interval, where nothing is scraped (`_EDGE`): ranges of Prometheus 2.42 include a sample
at their begin, those of 3.0 and here do not."""
_EDGE = 100
"""Milliseconds around the multiples of the interval without a sample."""
_VERSION = 2
"""Of what is made here: data of another one is not used."""
_SAMPLES = BLOCKS * BLOCK // INTERVAL
_LE = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "5", "+Inf")

Numbers = NDArray[np.int64] | NDArray[np.float64]


class Dataset(msgspec.Struct, frozen=True):
    """Directories of blocks.

    :param whole: all series.
    :param shards: each has the series of its instances.
    :param series: of each family.
    """

    series: int
    whole: Path
    shards: tuple[Path, ...]


def shard_of(instance: int) -> int:
    return zlib.crc32(f"instance-{instance}".encode()) % SHARDS


def instance_name(instance: int) -> str:
    return f"10.0.{instance // 256}.{instance % 256}:9100"


def _labels(instance: int, job: str) -> str:
    where = f'cluster="c{instance % 3}",instance="{instance_name(instance)}"'
    return f'{where},job="{job}",shard="{shard_of(instance)}"'


def _times(chance: np.random.Generator) -> NDArray[np.int64]:
    offset = int(chance.integers(_EDGE, INTERVAL - _EDGE))
    times = BEGIN + offset + np.arange(_SAMPLES, dtype=np.int64) * INTERVAL
    late = chance.random(_SAMPLES) < 0.05
    times[late] += chance.integers(-40, 40, int(late.sum()))
    return times[chance.random(_SAMPLES) > 0.001]


def _counters(instance: int, count: int, chance: np.random.Generator) -> Iterator[tuple[str, Numbers]]:
    """Some are idle, some busy; three in ten are reset once."""
    labels = _labels(instance, "api")
    for handler in range(8):
        for code in (200, 400, 404, 500, 503):
            values = np.cumsum(chance.poisson(chance.choice([0.05, 2, 30, 400]), count))
            values += int(chance.integers(0, 10**7))
            if chance.random() < 0.3:
                reset = int(chance.integers(1, count - 1))
                values[reset:] -= values[reset]
            yield f'{REQUESTS}{{{labels},code="{code}",handler="/api/v1/h{handler}"}}', values


def _gauges(instance: int, count: int, chance: np.random.Generator) -> Iterator[tuple[str, Numbers]]:
    """Temperatures, bytes, queues that seldom change, and noise."""
    labels = _labels(instance, "node")
    for device in range(PER_INSTANCE):
        values: Numbers
        match device % 4:
            case 0:
                values = np.round(50 + np.cumsum(chance.normal(0, 0.3, count)), 2)
            case 1:
                values = chance.integers(10**9, 2 * 10**9) + 4096 * np.cumsum(
                    chance.integers(-4096, 4096, count)
                )
            case 2:
                values = np.repeat(chance.integers(0, 200, count // 20 + 1), 20)[:count]
            case _:
                values = chance.random(count)
        yield f'{GAUGES}{{{labels},device="d{device}"}}', values


def _buckets(instance: int, count: int, chance: np.random.Generator) -> Iterator[tuple[str, Numbers]]:
    labels = _labels(instance, "api")
    for handler in range(4):
        rates = chance.dirichlet(np.ones(len(_LE))) * chance.choice([3, 50, 300])
        counts = chance.poisson(rates[:, None], (len(_LE), count)).cumsum(axis=1).cumsum(axis=0)
        for bound, values in zip(_LE, counts, strict=True):
            yield f'{BUCKETS}{{{labels},handler="/api/v1/h{handler}",le="{bound}"}}', values


_FAMILIES = (
    (f"# TYPE {REQUESTS.removesuffix('_total')} counter\n", _counters),
    (f"# TYPE {GAUGES} gauge\n", _gauges),
    (f"# TYPE {BUCKETS} unknown\n", _buckets),
)


def _write_texts(series: int, block: int, paths: list[Path]) -> None:
    """The samples of one block, a file for each shard."""
    low, high = BEGIN + block * BLOCK, BEGIN + (block + 1) * BLOCK
    files = [path.open("w", buffering=1 << 22) for path in paths]
    try:
        for number, (head, family) in enumerate(_FAMILIES):
            for file in files:
                file.write(head)
            for instance in range(series // PER_INSTANCE):
                chance = np.random.default_rng((7, number, instance))
                times = _times(chance)
                first, last = np.searchsorted(times, [low, high])
                shown = [f"{time // 1000}.{time % 1000:03}\n" for time in times[first:last].tolist()]
                file = files[shard_of(instance)]
                for name, values in family(instance, times.size, chance):
                    pairs = zip(values[first:last].tolist(), shown, strict=True)
                    file.write("".join([f"{name} {value} {time}" for value, time in pairs]))
    finally:
        for file in files:
            file.close()


def _make_block(series: int, block: int, root: Path) -> None:
    """One block of each directory below `root`."""
    with TemporaryDirectory(dir=root) as name:
        texts = [Path(name) / f"shard-{shard}.om" for shard in range(SHARDS)]
        _write_texts(series, block, texts)
        whole = Path(name) / "whole.om"
        with whole.open("wb") as joined:
            for text in texts:
                with text.open("rb") as part:
                    shutil.copyfileobj(part, joined, 1 << 22)
        for shard, text in enumerate(texts):
            label, stripped = f',shard="{shard}"'.encode(), text.with_suffix(".stripped")
            with text.open("rb") as lines, stripped.open("wb", buffering=1 << 22) as kept:
                kept.writelines(line.replace(label, b"") for line in lines)
            stripped.rename(text)
        for text in (*texts, whole):
            with text.open("a") as file:
                file.write("# EOF\n")
            command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
            subprocess.run([*command, text, root / text.stem], check=True, stdout=subprocess.DEVNULL)
            text.unlink()


def dataset(series: int, cache: Path) -> Dataset:
    """Out of `cache`, or made there, which takes minutes for 10,000 series.

    :raises SystemExit: promtool is not installed, or `series` is no multiple of 40.
    """
    if series % PER_INSTANCE or series <= 0:
        raise SystemExit(f"--series: {series} is no multiple of {PER_INSTANCE}")
    if shutil.which("promtool") is None:
        raise SystemExit("this needs promtool (Debian package: prometheus)")
    made = cache / f"v{_VERSION}-{series}"
    if not made.exists():
        print(f"making data of three times {series} series in {made} ...", file=sys.stderr, flush=True)
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache, prefix="unfinished-") as name:
            root = Path(name)
            with concurrent.futures.ProcessPoolExecutor(min(BLOCKS, os.cpu_count() or 1)) as pool:
                for each in [pool.submit(_make_block, series, block, root) for block in range(BLOCKS)]:
                    each.result()
            made.mkdir()
            for part in root.iterdir():
                part.rename(made / part.name)
    return Dataset(series, made / "whole", tuple(made / f"shard-{shard}" for shard in range(SHARDS)))


def linked(blocks: Path, directory: Path) -> None:
    """A data directory of its own with the same blocks, which nobody ever writes into."""

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copyfile(source, target)

    shutil.copytree(blocks, directory, copy_function=link)
