"""Random series for random queries: worlds of them, too far apart in time to see each other."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.engine.model import STALE, Labels, Series, labels_of

APART = 4 * 3_600_000
"""Milliseconds from the begin of one world to that of the next; nothing asked reaches half as far."""
_FIRST = 1_700_006_400_000
_STEP = 15_000
_ODD = [0.0, -0.0, float("nan"), float("inf"), float("-inf"), STALE]

Floats = NDArray[np.float64]


def begin_of(world: int) -> int:
    """Milliseconds since the epoch."""
    return _FIRST + world * APART


def series_of(world: int, seed: int) -> list[Series]:
    """The series of a world; other ones with another seed."""
    chance = np.random.default_rng((seed, world))
    targets = [{"job": job, "instance": instance} for job in ("a", "b") for instance in ("1", "2", "3")]
    found: list[Series] = []
    for target in targets:
        for more in ({}, {"zone": "z"}, {"le": "1", "zone": "z"}):
            for name, values in (("x_total", _counter), ("y", _any), ("w", _gauge)):
                if chance.random() < 0.35:
                    times = _times(chance, begin_of(world))
                    # No two series ever have the same value, so that there is one way to rank them.
                    distinct = len(found) / 64
                    labels = labels_of({"__name__": name, **target, **more})
                    found.append(_ended(labels, times, values(chance, times.size, distinct), chance))
        if chance.random() < 0.5:
            found.extend(_buckets(chance, begin_of(world), target))
    return found


def _times(chance: np.random.Generator, begin: int) -> NDArray[np.int64]:
    """Mostly regular, at round times or not, with gaps."""
    count = int(chance.integers(1, 61))
    gaps = chance.choice([_STEP, _STEP + 7, 40_000, 400_000], count, p=[0.9, 0.05, 0.04, 0.01])
    first = begin + int(chance.choice([0, 15_000, 123_456, 400_000, int(chance.integers(0, 600_000))]))
    return first + np.concatenate([[0], gaps[1:].cumsum()]).astype(np.int64)


def _counter(chance: np.random.Generator, count: int, distinct: float) -> Floats:
    """Far from zero, also after the one reset that it may have."""
    values = 5000 + chance.integers(0, 10, count).cumsum().astype(float) + distinct
    if chance.random() < 0.6:
        reset = int(chance.integers(0, count))
        values[reset:] += int(chance.integers(600, 1000)) - 5000
    return values


def _gauge(chance: np.random.Generator, count: int, distinct: float) -> Floats:
    return chance.integers(-20, 100, count).astype(float) + distinct


def _any(chance: np.random.Generator, count: int, distinct: float) -> Floats:
    values = chance.integers(-5, 20, count).astype(float)
    odd = chance.random(count) < chance.choice([0.0, 0.1, 0.6])
    values[odd] = chance.choice(_ODD, int(odd.sum()))
    return values


def _ended(labels: Labels, times: NDArray[np.int64], values: Floats, chance: np.random.Generator) -> Series:
    """Marked as stale at some places."""
    if chance.random() < 0.4:
        values[chance.random(times.size) < 0.1] = STALE
    return Series(labels, times, values)


def _buckets(chance: np.random.Generator, begin: int, target: dict[str, str]) -> Iterator[Series]:
    times = _times(chance, begin)
    counts = 900 + chance.poisson(2, (4, times.size)).cumsum(axis=1).cumsum(axis=0).astype(float)
    for bound, values in zip(("-1", "0.5", "2", "+Inf"), counts, strict=True):
        if chance.random() < 0.95:
            yield Series(labels_of({"__name__": "b", **target, "le": bound}), times, values)
