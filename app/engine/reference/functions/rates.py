"""`rate`, `increase`, `delta` and their instant forms: how much a window's samples went up."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from app.engine.histogram import arithmetic
from app.engine.histogram.arithmetic import detect_reset
from app.engine.histogram.layout import at_schema
from app.engine.histogram.model import FloatHistogram, ResetHint
from app.engine.model import Annotations
from app.engine.promql.ast import Span
from app.engine.promql.quoting import quoted
from app.engine.reference.elements import Window
from app.engine.reference.histograms import Combining
from app.engine.reference.numbers import divide

Number = float | FloatHistogram


class Rates:
    """What the functions of this file have in common.

    :param counter: whether falling values are resets.
    :param per_second: whether the result is divided by the range's length.
    """

    def __init__(self, annotations: Annotations, span: Span, *, counter: bool, per_second: bool) -> None:
        self._annotations = annotations
        self._span = span
        self._counter = counter
        self._per_second = per_second

    def mixed(self, window: Window) -> None:
        self._annotations.warn(
            f"encountered a mix of histograms and floats for metric name {quoted(window.name)}", self._span
        )

    def extrapolated(self, window: Window) -> Number | None:
        """The increase between the first and the last sample, extended towards the limits of the range.

        Prometheus's `extrapolatedRate`: all the way where a limit is about as near as the next sample would
        be, else by half the distance between samples; never past where a counter would have been zero.
        """
        if window.floats and window.histograms:
            self.mixed(window)
            return None
        points: Sequence[tuple[int, Number]] = window.floats or window.histograms
        if len(points) < 2:
            return None
        increase: Number | None
        if window.histograms:
            increase = self._histogram_increase(window)
            if increase is None:
                return None
            first, gained = window.histograms[0][1].count, increase.count
        else:
            increase = gained = self._float_increase(window.values)
            first = window.floats[0][1]
        factor = self._factor(window, [time for time, _ in points], first, gained)
        return increase * factor if isinstance(increase, float) else arithmetic.mul(increase, factor)

    def _factor(self, window: Window, times: Sequence[int], first: float, gained: float) -> float:
        to_start, to_end = (times[0] - window.start) / 1000, (window.end - times[-1]) / 1000
        sampled = (times[-1] - times[0]) / 1000
        average = sampled / (len(times) - 1)
        if to_start >= average * 1.1:
            to_start = average / 2
        if self._counter and gained > 0 and first >= 0:
            to_start = min(to_start, sampled * (first / gained))
        if to_end >= average * 1.1:
            to_end = average / 2
        factor = (sampled + to_start + to_end) / sampled
        return factor / window.seconds if self._per_second else factor

    def _float_increase(self, values: Sequence[float]) -> float:
        found = values[-1] - values[0]
        if self._counter:
            for previous, value in pairwise(values):
                if value < previous:
                    found += previous
        return found

    def _histogram_increase(self, window: Window) -> FloatHistogram | None:
        points = [histogram for _, histogram in window.histograms]
        combining = Combining(window.name, self._annotations, self._span)
        self._check_hints(points, combining)
        first, last = points[0], points[-1]
        if self._counter and detect_reset(points[1], first):
            first = FloatHistogram(schema=points[1].schema, custom_values=points[1].custom_values)
        schemas = points[1:-1] if self._counter else []
        if any(point.custom != first.custom for point in (last, *schemas)):
            combining.mixed()
            return None
        lowest = min(point.schema for point in (first, last, *schemas))
        found = combining.sub(last if last.custom else at_schema(last, lowest), first)
        if self._counter:
            previous = first
            for point in points[1:]:
                if found is not None and detect_reset(point, previous):
                    found = combining.add(found, previous)
                previous = point
        return None if found is None else msgspec.structs.replace(found, reset_hint=ResetHint.GAUGE)

    def _check_hints(self, points: Sequence[FloatHistogram], combining: Combining) -> None:
        if self._counter:
            if any(point.reset_hint is ResetHint.GAUGE for point in points):
                combining.not_counter()
        elif not points[0].reset_hint is points[-1].reset_hint is ResetHint.GAUGE:
            combining.not_gauge()

    def instant(self, window: Window) -> Number | None:
        """Between the last two samples (`irate`, `idelta`)."""
        merged: list[tuple[int, Number]] = sorted(
            (*window.floats[-2:], *window.histograms[-2:]), key=lambda point: point[0]
        )
        if len(merged) < 2:
            return None
        (before, previous), (time, last) = merged[-2:]
        if time == before:
            return None
        seconds = (time - before) / 1000
        if isinstance(last, float) and isinstance(previous, float):
            found = last if self._counter and last < previous else last - previous
            return divide(found, seconds) if self._per_second else found
        if isinstance(last, FloatHistogram) and isinstance(previous, FloatHistogram):
            return self._instant_histogram(window, previous, last, seconds)
        self.mixed(window)
        return None

    def _instant_histogram(
        self, window: Window, previous: FloatHistogram, last: FloatHistogram, seconds: float
    ) -> FloatHistogram | None:
        combining = Combining(window.name, self._annotations, self._span)
        self._check_hints((previous, last), combining)
        found: FloatHistogram | None = last
        if not self._counter or not detect_reset(last, previous):
            found = combining.sub(last, previous)
        if found is None:
            return None
        found = msgspec.structs.replace(found, reset_hint=ResetHint.GAUGE)
        return arithmetic.div(found, seconds) if self._per_second else found
