"""Series seen from one instant: the sample in force, and the samples of a range."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from app.engine.histogram.model import FloatHistogram, ResetHint
from app.engine.model import METRIC_NAME, Annotations, Labels, Query, Series, is_stale
from app.engine.promql import ast
from app.engine.promql.ast import VectorSelector
from app.engine.promql.quoting import quoted
from app.engine.reference.elements import Element, Instant, Window, label
from app.engine.reference.functions.extended import between, interpolated
from app.engine.reference.histograms import MIXED, Combining
from app.engine.reference.holding import Holding

Points = tuple[list[tuple[int, float]], list[tuple[int, FloatHistogram]]]


class Seen:
    """The series of a query as its selectors see them."""

    def __init__(self, query: Query, annotations: Annotations, holding: Holding) -> None:
        self._query = query
        self._annotations = annotations
        self._closed = query.closed_windows
        self._holding = holding

    def instant(self, node: VectorSelector, series: Sequence[Series], time: int) -> Instant:
        """Each series with the sample in force, and that sample's time."""
        at = (time if node.at is None else node.at) - node.offset
        if node.smoothed:
            return self._smoothed(node, series, at, time)
        found = []
        for each in self._holding.polled(series):
            place = int(each.times.searchsorted(at, "right")) - 1
            if place < 0:
                continue
            age = at - int(each.times[place])
            if age > self._query.lookback or (age == self._query.lookback and not self._closed):
                continue
            value = self._value(each, place)
            if value is not None:
                found.append(Element(each.labels, value, int(each.times[place])))
        return found

    def _value(self, series: Series, place: int) -> float | FloatHistogram | None:
        """None for the staleness marker."""
        histogram = series.histograms.get(place)
        if histogram is not None:
            return histogram
        value = float(series.values[place])
        return None if math.isnan(value) and is_stale(value) else value

    def windows(self, node: ast.MatrixSelector, series: Sequence[Series], time: int) -> list[Window]:
        """The samples of the range of each series that has any."""
        selector = node.selector
        end = (time if selector.at is None else selector.at) - selector.offset
        start = end - node.range
        first, last = start, end
        if selector.anchored or selector.smoothed:
            first -= self._query.lookback
        if selector.smoothed:
            last += self._query.lookback
        found = []
        for each in series:
            floats, histograms = self._points(each, first, last)
            if floats or histograms:
                found.append(Window(each.labels, floats, histograms, start, end, node.range / 1000))
        return found

    def _points(self, series: Series, start: int, end: int) -> Points:
        first = int(series.times.searchsorted(start, "left" if self._closed else "right"))
        last = int(series.times.searchsorted(end, "right"))
        self._holding.points(last - first)
        if not series.histograms:
            values = series.values[first:last]
            pairs = zip(series.times[first:last].tolist(), values.tolist(), strict=True)
            if not np.isnan(values).any():
                return list(pairs), []
            return [(time, value) for time, value in pairs if not is_stale(value)], []
        floats, histograms = [], []
        for place in range(first, last):
            value = self._value(series, place)
            if isinstance(value, float):
                floats.append((int(series.times[place]), value))
            elif value is not None:
                histograms.append((int(series.times[place]), value))
        return floats, histograms

    # -- interpolated instants

    def _smoothed(self, node: VectorSelector, series: Sequence[Series], at: int, time: int) -> Instant:
        found = []
        for each in series:
            floats, histograms = self._points(each, at - self._query.lookback, at + self._query.lookback)
            name = label(each.labels, METRIC_NAME)
            value: float | FloatHistogram | None = None
            if floats and histograms:
                self._annotations.warn(
                    f"encountered a mix of histograms and floats for metric name {quoted(name)}", node.span
                )
            elif histograms:
                value = self._between_histograms(histograms, at, name, node)
            elif floats:
                value = _between_floats(floats, at)
            if value is not None:
                found.append(Element(each.labels, value, time))
        return found

    def _between_histograms(
        self, points: list[tuple[int, FloatHistogram]], at: int, name: str, node: VectorSelector
    ) -> FloatHistogram | None:
        after = bisect_left([time for time, _ in points], at)
        if after < len(points) and points[after][0] == at:
            return points[after][1]
        if after == 0:
            return None
        previous = points[after - 1]
        if after == len(points):
            return msgspec.structs.replace(previous[1], reset_hint=ResetHint.UNKNOWN)
        following = points[after]
        if previous[1].custom != following[1].custom:
            self._annotations.warn(MIXED + quoted(name), node.span)
            return None
        gauge = previous[1].reset_hint is following[1].reset_hint is ResetHint.GAUGE
        return between(previous, following, at, not gauge, Combining(name, self._annotations, node.span))


def _between_floats(points: list[tuple[int, float]], at: int) -> float | None:
    after = bisect_left([time for time, _ in points], at)
    if after < len(points) and points[after][0] == at:
        return points[after][1]
    if after == 0:
        return None
    if after == len(points):
        return points[-1][1]
    return interpolated(points[after - 1], points[after], at, False)


def gathered(
    polled: Callable[[Instant], Iterator[Element]],
    steps: Sequence[tuple[int, Instant]],
    start: int,
    end: int,
    seconds: float,
) -> list[Window]:
    """The windows of a subquery, out of its expression's values at each of its instants.

    Hints of counter resets are about samples next to each other, which these are not.
    """
    found: dict[Labels, Window] = {}
    floats: dict[Labels, list[tuple[int, float]]] = {}
    histograms: dict[Labels, list[tuple[int, FloatHistogram]]] = {}
    for time, elements in steps:
        for element in polled(elements):
            labels = element.labels
            if labels not in found:
                floats[labels], histograms[labels] = [], []
                found[labels] = Window(
                    labels, floats[labels], histograms[labels], start, end, seconds, element.drop_name
                )
            histogram = element.histogram
            if histogram is None:
                assert isinstance(element.value, float)
                floats[labels].append((time, element.value))
                continue
            if histogram.reset_hint in (ResetHint.RESET, ResetHint.NOT_RESET):
                histogram = msgspec.structs.replace(histogram, reset_hint=ResetHint.UNKNOWN)
            histograms[labels].append((time, histogram))
    return list(found.values())
