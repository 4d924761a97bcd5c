"""A query that nobody waits for any more ends, whatever it is doing.

Where it stops is told by what it has written by then, not by a clock: the flag is set as soon as a kernel is
seen to have begun, and then the end of its output must be untouched. Each does at least ten times the work
that fits between the two on a slow machine, and much more than 100 ms of it.
"""

import threading
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from app.engine import fast
from app.engine.cancelling import CancelFlag, Cancelled
from app.engine.fast.workers import Workers
from app.engine.kernels import aggregate, over_time, rates, statistics
from app.engine.kernels.buckets import bucket_quantiles
from app.engine.kernels.keys import tally
from app.engine.kernels.ranking import choose, quantiles
from app.engine.kernels.windows import chunk_windows, point_windows
from app.engine.model import Annotations, Query
from app.engine.promql.parser import parse
from app.engine.select.decode import decode
from app.engine.select.model import ChunkTable
from tests.unit.engine.fast.replicated import STEP, replicated

T = TypeVar("T")
UNTOUCHED = 7
SAMPLES = 1440
TABLE = replicated(10_000, SAMPLES)
QUERY = Query("", 300_000, SAMPLES * STEP, 60_000)


class Watched:
    """A kernel in a thread, and the flag that it polls."""

    def __init__(self, out: NDArray[Any]) -> None:
        self.out = out
        self.flag = CancelFlag()
        out.view(np.uint8).fill(UNTOUCHED)

    def ends_early(self, run: Callable[[NDArray[np.uint8]], object]) -> None:
        """Set the flag once something is written; the last of it must then stay as it was."""
        thread = threading.Thread(target=run, args=(self.flag.array,))
        thread.start()
        first, last = (self.out.reshape(-1)[place : place + 1].view(np.uint8) for place in (0, -1))
        deadline = time.monotonic() + 20
        while (first == UNTOUCHED).all():
            assert thread.is_alive() and time.monotonic() < deadline
            time.sleep(0.001)
        self.flag.set()
        thread.join(20)
        assert not thread.is_alive()
        assert (last == UNTOUCHED).all(), "it went on to its end"


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    fast.warm_up()


def _windows(length: int, steps: int) -> tuple[Any, ...]:
    ends = np.linspace(0, SAMPLES * STEP, steps).astype(np.int64)
    return np.array([length, 0], np.int64), ends, ends, length / 1000.0, np.full(steps, 0.5)


def _of_chunks(table: ChunkTable) -> tuple[Any, ...]:
    rules = np.array([table.start, table.end, 0], np.int64)
    arrays = (table.data, table.lanes, table.chunks, table.offset, table.length)
    return (*arrays, rules, 0, len(table))


@pytest.mark.parametrize(
    "function", [rates.RATE, rates.IRATE, over_time.INSTANT, over_time.RESETS, over_time.MAX]
)
def test_many_series(function: int) -> None:
    shape = (len(TABLE), 60)
    watched = Watched(np.empty(shape, np.uint8))
    out = np.empty(shape)
    watched.ends_early(
        lambda cancel: chunk_windows(
            function, *_of_chunks(TABLE), *_windows(300_000, 60), out, watched.out, cancel
        )
    )


@pytest.mark.parametrize(
    "function",
    [over_time.SUM, over_time.AVERAGE, statistics.QUANTILE, statistics.DEVIATION, statistics.DERIVATIVE],
)
def test_one_series_with_long_windows(function: int) -> None:
    samples, steps = 30_000, 11_000
    times = np.arange(samples, dtype=np.int64) * (SAMPLES * STEP // samples)
    values = np.random.default_rng(1).random(samples)
    watched = Watched(np.empty((1, steps), np.uint8))
    out, starts = np.empty((1, steps)), np.array([0, samples], np.int64)
    watched.ends_early(
        lambda cancel: point_windows(
            function, times, values, starts, *_windows(1 << 40, steps), out, watched.out, cancel
        )
    )


def _one_group(rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.arange(rows), np.array([0, rows], np.int64)


def test_quantiles_of_one_group() -> None:
    values = np.random.default_rng(1).random((20_000, 200))
    watched = Watched(np.empty((1, 200), np.uint8))
    out, present = np.empty((1, 200)), np.ones(values.shape, np.uint8)
    rank = np.full(200, 0.5)
    watched.ends_early(
        lambda cancel: quantiles(rank, *_one_group(20_000), values, present, out, watched.out, cancel)
    )


def test_the_best_of_one_group() -> None:
    flag = CancelFlag()
    flag.set()
    values, present = np.ones((10, 3)), np.ones((10, 3), np.uint8)
    chosen, ranked = np.zeros((10, 3), np.uint8), np.empty(10, np.int64)
    most = np.full(3, 5, np.int64)
    assert choose(most, False, *_one_group(10), values, present, chosen, ranked, flag.array) == 0
    assert not chosen.any()


def test_the_best_put_in_order() -> None:
    """A vector whose every element is among the best is sorted by comparing each with each."""
    values = np.random.default_rng(1).random((100_000, 1))
    watched = Watched(np.empty((100_000, 1), np.uint8))
    ranked, present = np.full(100_000, -1, np.int64), np.ones(values.shape, np.uint8)
    most = np.full(1, 100_000, np.int64)
    flag = watched.flag
    thread = threading.Thread(
        target=choose,
        args=(most, False, *_one_group(100_000), values, present, watched.out, ranked, flag.array),
    )
    thread.start()
    while watched.out[-1, 0] == UNTOUCHED:  # chosen; now they are sorted, which takes seconds
        time.sleep(0.001)
    flag.set()
    thread.join(20)
    best = ranked[ranked >= 0]
    assert not thread.is_alive()
    assert (np.diff(values[best, 0]) > 0).any(), "it sorted all of them"


def test_histograms_with_many_buckets() -> None:
    rows, steps = 20_000, 500
    values = np.random.default_rng(1).random((rows, steps))
    watched = Watched(np.empty((1, steps), np.uint8))
    forced = np.zeros((steps, 4))
    limits = np.arange(rows, dtype=np.float64)
    present, out = np.ones(values.shape, np.uint8), np.empty((1, steps))
    watched.ends_early(
        lambda cancel: bucket_quantiles(
            np.full(steps, 0.5), *_one_group(rows), limits, values, present, out, watched.out, forced, cancel
        )
    )


def test_decoding() -> None:
    """For the reference evaluator: no row is handed out once the flag is set."""
    flag = CancelFlag()
    flag.set()
    with pytest.raises(Cancelled):
        decode(TABLE, flag.array)


def test_rows_that_are_added_up() -> None:
    flag = CancelFlag()
    flag.set()
    shape = (100, 10)
    values, present, groups = np.ones(shape), np.ones(shape, np.uint8), np.zeros(100, np.int64)
    total, count = np.zeros((1, 10)), np.zeros((1, 10), np.int32)
    small = np.zeros((1, 10)), np.zeros((1, 10), np.uint8)
    aggregate.accumulate(
        aggregate.SUM, values, present, groups, 0, 10, total, small[0], count, small[1], flag.array
    )
    assert not total.any() and not count.any()
    there = np.full((1, 10), UNTOUCHED, np.uint8)
    aggregate.finish(aggregate.SUM, total, small[0], count, small[1], there, flag.array)
    assert (there == UNTOUCHED).all()
    counts = np.zeros((1, 10), np.uint8)
    tally(present, groups, counts, flag.array)
    assert not counts.any()


# -- whole queries


class Setting(Workers):
    """Threads that set the flag when they are given their n-th task of many."""

    def __init__(self, flag: CancelFlag, after: int) -> None:
        super().__init__(2)
        self._flag = flag
        self._left = after
        self.begun = 0

    def in_order(self, count: int, task: Callable[[int], T]) -> Generator[T]:
        def counted(number: int) -> T:
            if count > 4:
                self.begun += 1
                self._left -= 1
                if self._left == 0:
                    self._flag.set()
            return task(number)

        yield from super().in_order(count, counted)


def _tasks(text: str, after: int) -> tuple[int, bool]:
    """How many tasks were begun, and whether the query ended early."""
    plan = fast.plan(parse(text), QUERY)
    assert plan.path == fast.FAST
    flag = CancelFlag()
    workers = Setting(flag, after)
    try:
        fast.evaluate(
            plan,
            dict.fromkeys(range(len(plan.wanted)), SMALLER),
            flag.array,
            Annotations(),
            workers,
        )
    except Cancelled:
        return workers.begun, True
    finally:
        workers.close()
    return workers.begun, False


SMALLER = replicated(2_000, SAMPLES)


@pytest.mark.parametrize(
    "text",
    [
        "sum by (le) (rate(m_total[5m]))",
        "m_total / m_total",
        "m_total > m_total",
        "m_total or m_total * 2",
        "m_total and on (i) m_total",
        "abs(m_total) ^ 2",
        "hour(round(m_total))",
        "clamp(m_total, 1, 5) > bool 2",
        "max_over_time((m_total * 2)[10m:1m])",
        "timestamp(m_total * 1)",
        "histogram_quantile(0.9, m_total)",
        "stddev by (i) (-m_total)",
        'label_replace(m_total, "a", "$1", "i", "(.*)") + 1',
    ],
)
def test_a_query_stops_at_every_stage(text: str) -> None:
    """Stopped in any of its tasks, it has no result."""
    whole, ended = _tasks(text, 1 << 40)
    assert not ended and whole > 4
    for share in (0.1, 0.5, 0.9):
        _, ended = _tasks(text, max(1, int(whole * share)))
        assert ended, share
