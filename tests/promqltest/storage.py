"""Series in memory, as the commands of a promqltest file load them."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from app.engine.histogram.arithmetic import detect_reset
from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, ResetHint
from app.engine.model import METRIC_NAME, Labels, Series, is_stale, labels_of
from app.engine.prepare import selects
from app.engine.promql.ast import Matcher
from tests.promqltest.description import with_name
from tests.promqltest.script import Load

Value = float | FloatHistogram


class MemoryStorage:
    """Mutable: filled by `load`. A `Storage`."""

    def __init__(self) -> None:
        self._series: dict[Labels, dict[int, Value]] = {}
        self._made: dict[Labels, Series] = {}

    def load(self, command: Load) -> None:
        self._made.clear()
        loaded: dict[Labels, dict[int, Value]] = {}
        for labels, points in command.series.items():
            values = {
                place * command.interval: point.value
                for place, point in enumerate(points)
                if point.value is not None
            }
            loaded[labels] = values
            self._series.setdefault(labels, {}).update(values)
        if command.with_nhcb:
            for labels, histograms in _custom_histograms(loaded).items():
                self._series.setdefault(labels, {}).update(histograms)

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> Sequence[Series]:
        found = []
        for labels, values in sorted(self._series.items()):
            if not selects(matchers, dict(labels)):
                continue
            if labels not in self._made:
                self._made[labels] = _made(labels, values)
            found.append(_cut(self._made[labels], start, end))
        return [each for each in found if len(each.times)]


def _made(labels: Labels, values: dict[int, Value]) -> Series:
    times = sorted(values)
    floats = [math.nan if isinstance(values[time], FloatHistogram) else values[time] for time in times]
    histograms: dict[int, FloatHistogram] = {}
    previous: Value | None = None
    for place, time in enumerate(times):
        value = values[time]
        if isinstance(value, FloatHistogram):
            histograms[place] = _stored(value, previous)
        previous = value
    return Series(labels, np.array(times, np.int64), np.array(floats, np.float64), histograms)


def _stored(value: FloatHistogram, previous: Value | None) -> FloatHistogram:
    """With the hint that a chunk gives it back with: certain only inside of one chunk."""
    if value.reset_hint is ResetHint.GAUGE:
        return value
    hint = ResetHint.UNKNOWN
    if isinstance(previous, FloatHistogram) and _continues(value, previous):
        hint = ResetHint.NOT_RESET
    return msgspec.structs.replace(value, reset_hint=hint)


def _continues(value: FloatHistogram, previous: FloatHistogram) -> bool:
    if previous.reset_hint is ResetHint.GAUGE or value.reset_hint is ResetHint.RESET:
        return False
    same = (value.schema, value.zero_threshold, value.custom_values) == (
        previous.schema,
        previous.zero_threshold,
        previous.custom_values,
    )
    plain = [msgspec.structs.replace(each, reset_hint=ResetHint.UNKNOWN) for each in (value, previous)]
    return same and not detect_reset(plain[0], plain[1])


def _cut(series: Series, start: int, end: int) -> Series:
    first = int(series.times.searchsorted(start, "left"))
    last = int(series.times.searchsorted(end, "right"))
    histograms = {at - first: value for at, value in series.histograms.items() if first <= at < last}
    return Series(series.labels, series.times[first:last], series.values[first:last], histograms)


# -- classic histograms as native ones with custom bounds


def _custom_histograms(loaded: dict[Labels, dict[int, Value]]) -> dict[Labels, dict[int, Value]]:
    buckets: dict[tuple[Labels, int], dict[float, float]] = {}
    counts: dict[tuple[Labels, int], float] = {}
    sums: dict[tuple[Labels, int], float] = {}
    for labels, values in loaded.items():
        given = dict(labels)
        name = given.get(METRIC_NAME, "")
        base, _, suffix = name.rpartition("_")
        key = with_name(labels_of({each: value for each, value in labels if each != "le"}), base)
        for time, value in values.items():
            if not isinstance(value, float) or is_stale(value):
                continue
            if suffix == "bucket":
                bound = float(given["le"].replace("Inf", "inf"))
                buckets.setdefault((key, time), {})[bound] = value
            elif suffix in ("count", "sum"):
                (counts if suffix == "count" else sums)[(key, time)] = value
    found: dict[Labels, dict[int, Value]] = {}
    for key_time in sorted(buckets.keys() | counts.keys() | sums.keys()):
        key, time = key_time
        made = _custom(buckets.get(key_time, {}), counts.get(key_time), sums.get(key_time, 0.0))
        found.setdefault(key, {})[time] = made
    return found


def _custom(cumulative: dict[float, float], count: float | None, total: float) -> FloatHistogram:
    bounds = sorted(cumulative)
    if count is None:
        count = cumulative[bounds[-1]] if bounds else 0.0
    if not bounds or bounds[-1] != math.inf:
        cumulative = {**cumulative, math.inf: count}
        bounds.append(math.inf)
    positive, previous = {}, 0.0
    for place, bound in enumerate(bounds):
        if cumulative[bound] != previous:
            positive[place] = cumulative[bound] - previous
        previous = cumulative[bound]
    return FloatHistogram(
        schema=CUSTOM_SCHEMA, count=count, sum=total, positive=positive, custom_values=tuple(bounds[:-1])
    )
