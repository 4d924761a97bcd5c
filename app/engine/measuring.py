"""What a query cost, node by node: time, and samples as Prometheus counts them.

Only a query that asks for it is measured, by twins of the evaluators. Samples are those that selectors give:
of an instant selector each step's value, of a range selector all in each step's window, however often the
windows overlap. What a subquery's expression selects is not among them, but the values that it gives are, in
each window. A native histogram counts as the samples whose memory it takes up.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.histogram.model import FloatHistogram
from app.engine.model import Query

Counts = NDArray[np.int64]
"""(steps,) int64."""

HISTOGRAM, SAMPLE = 168, 16
"""Bytes that Prometheus holds for a histogram beside its buckets, and for a float with its time."""
_UNITS = (("ns", 1), ("µs", 1_000), ("ms", 1_000_000))


class Measured:
    """Mutable: one node with all below it, over all its evaluations.

    :ivar seconds: None: it is not evaluated apart from the node above.
    :ivar samples: of its selectors, over all steps.
    :ivar peak: the most values that it gave at a time.
    """

    def __init__(self, seconds: float | None = None, samples: int = 0, peak: int = 0) -> None:
        self.seconds = seconds
        self.samples = samples
        self.peak = peak


class Measuring:
    """Mutable: the measurements of one evaluation; added to by its thread.

    :param query: says how many steps there are.
    :ivar paused: seconds that the measuring itself took.
    """

    def __init__(self, query: Query) -> None:
        count = (query.end - query.start) // query.step + 1 if query.step else 1
        self.per_step: Counts = np.zeros(count, np.int64)
        self.paused = 0.0
        self._nodes: dict[int, Measured] = {}
        self._open: list[tuple[object, Counts]] = []

    def of(self, node: object) -> Measured:
        """What is known of a node, which is told by its identity."""
        return self._nodes.setdefault(id(node), Measured())

    @property
    def inside(self) -> bool:
        """Whether a node is being evaluated."""
        return bool(self._open)

    @property
    def peak(self) -> int:
        """The most values that a node gave at a time."""
        return max((each.peak for each in self._nodes.values()), default=0)

    @contextmanager
    def evaluating(self, node: object, steps: int) -> Iterator[Counts]:
        """A node is evaluated at so many steps; what is counted meanwhile is in what this gives.

        The caller passes it on, with `count` or `at`: what is below a subquery is nobody else's.
        """
        found, counted = self.of(node), np.zeros(steps, np.int64)
        self._open.append((node, counted))
        begun, paused = perf_counter(), self.paused
        try:
            yield counted
        finally:
            self._open.pop()
            found.seconds = (found.seconds or 0.0) + perf_counter() - begun - (self.paused - paused)
            found.samples += int(counted.sum())

    def count(self, counts: Counts | int) -> None:
        """Samples for the node that is being evaluated, by its steps; or for each of them."""
        if self._open:
            self._open[-1][1].__iadd__(counts)

    def is_open(self, node: object) -> bool:
        """Whether it is the node that is being evaluated."""
        return bool(self._open) and self._open[-1][0] is node

    def pause(self, seconds: float) -> None:
        """So much time went into counting, and is nobody's."""
        self.paused += seconds

    def at(self, step: int, counts: int) -> None:
        """Samples of one step of the query."""
        self.per_step[step] += counts


class Cost(msgspec.Struct, frozen=True):
    """What a query cost. Times are seconds.

    :param queued: waiting for its turn.
    :param fetching: getting all series.
    :param evaluating: the rest.
    :param peak: the most samples held at a time.
    :param per_step: samples of each step, from the first of the query on.
    """

    queued: float
    fetching: float
    evaluating: float
    peak: int
    per_step: Sequence[int]

    def stats(self, query: Query, *, every_step: bool) -> dict[str, Any]:
        """As Prometheus names them. There is no sorting apart from the evaluation.

        :param every_step: with the samples of each step.
        """
        evaluation = self.fetching + self.evaluating
        timings = {
            "evalTotalTime": evaluation,
            "resultSortTime": 0.0,
            "queryPreparationTime": self.fetching,
            "innerEvalTime": self.evaluating,
            "execQueueTime": self.queued,
            "execTotalTime": self.queued + evaluation,
        }
        samples: dict[str, Any] = {}
        if every_step:
            samples["totalQueryableSamplesPerStep"] = [
                (_seconds(query.start + place * query.step), count)
                for place, count in enumerate(self.per_step)
            ]
        samples |= {"totalQueryableSamples": sum(self.per_step), "peakSamples": self.peak}
        return {"timings": timings, "samples": samples}


def analyzed(name: str, measured: Measured, children: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """A node of Thanos's `analysis`, which leaves out what is empty or zero.

    The time, the samples and the peak are those of all below it too.
    """
    below = list(children)
    peak = max([measured.peak, *(child.get("peakSamples", 0) for child in below)])
    found = {
        "name": name,
        "executionTime": "" if measured.seconds is None else go_duration(measured.seconds),
        "peakSamples": peak,
        "totalSamples": measured.samples,
        "children": below,
    }
    return {key: value for key, value in found.items() if value}


def histogram_samples(histogram: FloatHistogram) -> int:
    """As many samples as take up its memory in Prometheus, where runs of buckets are kept as spans."""
    size = HISTOGRAM + 8 * len(histogram.custom_values)
    for buckets in (histogram.positive, histogram.negative):
        spans = sum(1 for index in buckets if index - 1 not in buckets)
        size += 8 * (len(buckets) + spans)
    return (size + 8) // SAMPLE


def go_duration(seconds: float) -> str:
    """As Go writes durations: ``1.5s``, ``2m3.04s``, ``1h0m0s``, ``15.125ms``; to the nanosecond."""
    whole = round(seconds * 1e9)
    if whole == 0:
        return "0s"
    for unit, size in _UNITS:
        if whole < size * 1000:
            return _decimal(whole, size) + unit
    minutes, rest = divmod(whole, 60_000_000_000)
    text = _decimal(rest, 1_000_000_000) + "s"
    if minutes >= 60:
        return f"{minutes // 60}h{minutes % 60}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _decimal(nanoseconds: int, unit: int) -> str:
    whole, rest = divmod(nanoseconds, unit)
    digits = f"{rest:0{len(str(unit)) - 1}}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _seconds(time: int) -> float:
    """Without a fraction where there is none, as JSON of Go has it."""
    return time // 1000 if time % 1000 == 0 else time / 1000
