"""Series in memory, as the commands of a promqltest file load them."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from app.engine.histogram.arithmetic import detect_reset
from app.engine.histogram.floats import bits
from app.engine.histogram.model import FloatHistogram, ResetHint
from app.engine.model import Labels, Series
from app.engine.prepare import selects
from app.engine.promql.ast import Matcher
from tests.promqltest.classic import Value, custom_histograms
from tests.promqltest.script import Load


class MemoryStorage:
    """Mutable: the series, which `load` adds to. A `Storage`; start timestamps find no place in it."""

    def __init__(self) -> None:
        self._series: dict[Labels, dict[int, Value]] = {}
        self._made: dict[Labels, Series] = {}

    def load(self, command: Load) -> None:
        """Add to what is there.

        :raises ValueError: another value is at the same place, or a classic histogram cannot be converted.
        """
        self._made.clear()
        loaded: dict[Labels, dict[int, Value]] = {}
        for labels, points in command.series.items():
            values = {
                place * command.interval: point.value
                for place, point in enumerate(points)
                if point.value is not None
            }
            loaded[labels] = values
            self._add(labels, values)
        if command.with_nhcb:
            for labels, histograms in custom_histograms(loaded).items():
                self._add(labels, histograms)

    def _add(self, labels: Labels, values: Mapping[int, Value]) -> None:
        known = self._series.setdefault(labels, {})
        for time, value in values.items():
            if time in known and not _identical(known[time], value):
                raise ValueError(f"{labels} has {known[time]} at {time}, not {value}")
            known[time] = value

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> Sequence[Series]:
        found = []
        for labels, values in sorted(self._series.items()):
            if not selects(matchers, dict(labels)):
                continue
            if labels not in self._made:
                self._made[labels] = _made(labels, values)
            found.append(_cut(self._made[labels], start, end))
        return [each for each in found if len(each.times)]


def _identical(a: Value, b: Value) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return bits(a) == bits(b)
    return a == b


def _made(labels: Labels, values: dict[int, Value]) -> Series:
    times = sorted(values)
    floats = [value.sum if isinstance(value := values[time], FloatHistogram) else value for time in times]
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
