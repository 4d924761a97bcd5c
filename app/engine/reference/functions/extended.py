"""Windows that reach past their limits: `anchored` begins with the value before, `smoothed` interpolates."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from app.engine.histogram import arithmetic
from app.engine.histogram.arithmetic import detect_reset
from app.engine.histogram.model import FloatHistogram, ResetHint
from app.engine.model import Annotations
from app.engine.promql.ast import Span
from app.engine.promql.quoting import quoted
from app.engine.reference.elements import Window
from app.engine.reference.histograms import Combining

Number = TypeVar("Number", float, FloatHistogram)
Points = Sequence[tuple[int, float]]
HistogramPoints = Sequence[tuple[int, FloatHistogram]]


class Extended:
    """`rate`, `increase` and `delta` over an anchored or smoothed selector."""

    def __init__(
        self, annotations: Annotations, span: Span, *, counter: bool, per_second: bool, smoothed: bool
    ) -> None:
        self._annotations = annotations
        self._span = span
        self._counter = counter
        self._per_second = per_second
        self._smoothed = smoothed

    def rate(self, window: Window) -> float | FloatHistogram | None:
        if window.floats and window.histograms:
            self._annotations.warn(
                f"encountered a mix of histograms and floats for metric name {quoted(window.name)}",
                self._span,
            )
            return None
        if window.floats:
            return self._floats(window)
        return self._histograms(window) if window.histograms else None

    def _limits(self, window: Window, times: Sequence[int]) -> tuple[int, int] | None:
        """Positions of the samples with which the range begins and ends."""
        last = len(times) - 1
        first = max(0, bisect_right(times, window.start, 0, last) - 1)
        if self._smoothed:
            last = bisect_left(times, window.end, 0, last)
        if times[last] <= window.start or (self._smoothed and times[first] > window.end):
            return None
        return first, last

    def _floats(self, window: Window) -> float | None:
        points = window.floats
        limits = self._limits(window, [time for time, _ in points])
        if limits is None:
            return None
        first, last = limits
        left, right = points[first][1], points[last][1]
        if self._smoothed and points[first][0] < window.start:
            left = interpolated(points[first], points[first + 1], window.start, self._counter)
        if self._smoothed and last > 0 and points[last][0] > window.end:
            right = interpolated(points[last - 1], points[last], window.end, self._counter)
        found = right - left
        if self._counter:
            inside = [value for time, value in points[first : last + 1] if window.start < time < window.end]
            for previous, value in zip((left, *inside), (*inside, right), strict=True):
                if value < previous:
                    found += previous
        return found / window.seconds if self._per_second else found

    # -- native histograms

    def _histograms(self, window: Window) -> FloatHistogram | None:
        points = window.histograms
        limits = self._limits(window, [time for time, _ in points])
        if limits is None:
            return None
        first, last = limits
        combining = Combining(window.name, self._annotations, self._span)
        if not self._valid(points[first : last + 1], combining):
            return None
        left: FloatHistogram | None = points[first][1]
        right: FloatHistogram | None = points[last][1]
        if self._smoothed and points[first][0] < window.start:
            left = between(points[first], points[first + 1], window.start, self._counter, combining)
        if self._smoothed and last > 0 and points[last][0] > window.end:
            right = between(points[last - 1], points[last], window.end, self._counter, combining)
        if left is None or right is None:
            return None
        if not self._counter and not left.reset_hint is right.reset_hint is ResetHint.GAUGE:
            combining.not_gauge()
        found = combining.sub(right, left)
        if self._counter and found is not None:
            for lost in self._lost(window, first, last, left, right):
                found = combining.add(found, lost) if found is not None else None
        if found is None:
            return None
        if self._per_second:
            found = arithmetic.div(found, window.seconds)
        return msgspec.structs.replace(found, reset_hint=ResetHint.GAUGE)

    def _valid(self, points: HistogramPoints, combining: Combining) -> bool:
        if any(point.custom != points[0][1].custom for _, point in points):
            combining.mixed()
            return False
        if self._counter and any(point.reset_hint is ResetHint.GAUGE for _, point in points):
            combining.not_counter()
        return True

    def _lost(
        self, window: Window, first: int, last: int, left: FloatHistogram, right: FloatHistogram
    ) -> list[FloatHistogram]:
        """What each reset has taken. One between the first two samples is in the interpolation already."""
        points = window.histograms
        begin, previous = first + 1, left
        if (
            self._smoothed
            and points[first][0] < window.start
            and detect_reset(points[first + 1][1], points[first][1])
        ):
            previous, begin = points[first + 1][1], begin + 1
        if begin > last:
            return []
        found = []
        for point in (*(histogram for _, histogram in points[begin:last]), right):
            if detect_reset(point, previous):
                found.append(previous)
            previous = point
        return found


def interpolated(before: tuple[int, float], after: tuple[int, float], at: int, counter: bool) -> float:
    """On the line between two points; a counter that was reset starts from zero."""
    low = 0.0 if counter and after[1] < before[1] else before[1]
    return low + (after[1] - low) * (at - before[0]) / (after[0] - before[0])


def between(
    before: tuple[int, FloatHistogram],
    after: tuple[int, FloatHistogram],
    at: int,
    counter: bool,
    combining: Combining,
) -> FloatHistogram | None:
    """The same of histograms; None, annotated, where their bounds do not go together."""
    if at in (before[0], after[0]):
        return before[1] if at == before[0] else after[1]
    share = (at - before[0]) / (after[0] - before[0])
    if counter and detect_reset(after[1], before[1]):
        return arithmetic.mul(after[1], share)
    gained = combining.sub(after[1], before[1])
    return None if gained is None else combining.add(arithmetic.mul(gained, share), before[1])
