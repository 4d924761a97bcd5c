"""Functions of one window: aggregations over time, changes, regressions."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

from app.engine.histogram.arithmetic import detect_reset, equals
from app.engine.histogram.model import FloatHistogram
from app.engine.model import Annotations, EvaluationError
from app.engine.promql.ast import Span
from app.engine.promql.quoting import quoted
from app.engine.reference.elements import Window
from app.engine.reference.histograms import aggregated
from app.engine.reference.numbers import go_g, mean, quantile, regression, total, variance_over_time

Number = float | FloatHistogram
OverFloats = Callable[[Sequence[float]], float]


class OverTime:
    """The functions, each a method that is given a window and numbers.

    :param anchored: whether the selector is, so that windows begin with the sample before their range.
    :param span: of the range vector, for annotations.
    """

    def __init__(self, annotations: Annotations, span: Span, time: int, *, anchored: bool = False) -> None:
        self._annotations = annotations
        self._span = span
        self._time = time
        self._anchored = anchored

    def _floats(self, window: Window) -> list[float] | None:
        """None where there are none; histograms beside them are ignored, and said so."""
        if window.floats and window.histograms:
            self._ignored(window)
        return window.values or None

    def _ignored(self, window: Window) -> None:
        self._annotations.info(
            "ignored histograms in a range containing both floats and histograms for metric name "
            + quoted(window.name),
            self._span,
        )

    def _simple(self, window: Window, function: OverFloats) -> float | None:
        values = self._floats(window)
        return None if values is None else function(values)

    # -- aggregations

    def sum_over_time(self, window: Window) -> Number | None:
        return self._aggregated(window, total, average=False)

    def avg_over_time(self, window: Window) -> Number | None:
        return self._aggregated(window, mean, average=True)

    def _aggregated(self, window: Window, of_floats: OverFloats, *, average: bool) -> Number | None:
        if not window.histograms:
            return of_floats(window.values)
        if window.floats:
            self._annotations.warn(
                f"encountered a mix of histograms and floats for metric name {quoted(window.name)}",
                self._span,
            )
            return None
        named = [(window.name, histogram) for _, histogram in window.histograms]
        return aggregated(named, average, self._annotations, self._span)

    def count_over_time(self, window: Window) -> float:
        return float(len(window.floats) + len(window.histograms))

    def present_over_time(self, window: Window) -> float:
        return 1.0

    absent_over_time = present_over_time

    def min_over_time(self, window: Window) -> float | None:
        return self._simple(window, lambda values: values[_extreme(values, largest=False)])

    def max_over_time(self, window: Window) -> float | None:
        return self._simple(window, lambda values: values[_extreme(values, largest=True)])

    def ts_of_min_over_time(self, window: Window) -> float | None:
        return self._time_of(window, largest=False)

    def ts_of_max_over_time(self, window: Window) -> float | None:
        return self._time_of(window, largest=True)

    def _time_of(self, window: Window, *, largest: bool) -> float | None:
        values = self._floats(window)
        if values is None:
            return None
        return window.floats[_extreme(values, largest=largest, last=True)][0] / 1000

    def stddev_over_time(self, window: Window) -> float | None:
        return self._simple(window, lambda values: math.sqrt(variance_over_time(values)))

    def stdvar_over_time(self, window: Window) -> float | None:
        return self._simple(window, variance_over_time)

    def mad_over_time(self, window: Window) -> float | None:
        return self._simple(window, _median_deviation)

    def quantile_over_time(self, window: Window, q: float) -> float | None:
        if window.floats and not 0 <= q <= 1:
            self._annotations.warn(f"quantile value should be between 0 and 1, got {go_g(q)}", self._span)
        return self._simple(window, lambda values: quantile(q, values))

    # -- single samples

    def first_over_time(self, window: Window) -> Number:
        points: list[tuple[int, Number]] = [*window.floats[:1], *window.histograms[:1]]
        return min(points, key=lambda point: point[0])[1]

    def last_over_time(self, window: Window) -> Number:
        points: list[tuple[int, Number]] = [*window.floats[-1:], *window.histograms[-1:]]
        return max(points, key=lambda point: point[0])[1]

    def ts_of_first_over_time(self, window: Window) -> float:
        return min(time for time, _ in (*window.floats[:1], *window.histograms[:1])) / 1000

    def ts_of_last_over_time(self, window: Window) -> float:
        return max(time for time, _ in (*window.floats[-1:], *window.histograms[-1:])) / 1000

    # -- steps from sample to sample

    def changes(self, window: Window) -> float | None:
        return self._counted(window, _changed)

    def resets(self, window: Window) -> float | None:
        return self._counted(window, _reset)

    def _counted(self, window: Window, counts: Callable[[Number, Number], bool]) -> float | None:
        points: list[tuple[int, Number]] = sorted(
            (*window.floats, *window.histograms), key=lambda point: point[0]
        )
        if self._anchored:
            after = bisect_right([time for time, _ in points], window.start)
            if after == len(points):
                return None
            points = points[max(0, after - 1) :]
        values = [value for _, value in points]
        return float(sum(counts(value, previous) for previous, value in pairwise(values)))

    # -- regressions and smoothing

    def deriv(self, window: Window) -> float | None:
        if not self._enough(window):
            return None
        return regression(window.floats, window.floats[0][0])[0]

    def predict_linear(self, window: Window, seconds: float) -> float | None:
        if not self._enough(window):
            return None
        slope, intercept = regression(window.floats, self._time)
        return slope * seconds + intercept

    def _enough(self, window: Window) -> bool:
        if window.floats and window.histograms:
            self._ignored(window)
        return len(window.floats) >= 2

    def double_exponential_smoothing(self, window: Window, smoothing: float, trend: float) -> float | None:
        """:raises EvaluationError: a factor is not between 0 and 1."""
        for what, factor, short in (("smoothing", smoothing, "sf"), ("trend", trend, "tf")):
            if factor <= 0 or factor >= 1:
                raise EvaluationError(
                    f"invalid {what} factor. Expected: 0 < {short} < 1, got: {_six_digits(factor)}"
                )
        if not self._enough(window):
            return None
        values = window.values
        before, smoothed, slope = 0.0, values[0], values[1] - values[0]
        for place, value in enumerate(values[1:]):
            if place:
                slope = trend * (smoothed - before) + (1 - trend) * slope
            before, smoothed = smoothed, smoothing * value + (1 - smoothing) * (smoothed + slope)
        return smoothed


def _six_digits(value: float) -> str:
    return f"{value:f}" if math.isfinite(value) else go_g(value)


def _extreme(values: Sequence[float], *, largest: bool, last: bool = False) -> int:
    """The position of the smallest or largest; NaN only where there is nothing else."""
    found = 0
    for place, value in enumerate(values):
        better = value > values[found] if largest else value < values[found]
        if better or math.isnan(values[found]) or (last and value == values[found]):
            found = place
    return found


def _median_deviation(values: Sequence[float]) -> float:
    if any(map(math.isnan, values)):
        return math.nan
    median = quantile(0.5, values)
    return quantile(0.5, [abs(value - median) for value in values])


def _changed(value: Number, previous: Number) -> bool:
    if isinstance(value, float) and isinstance(previous, float):
        return value != previous and not (math.isnan(value) and math.isnan(previous))
    if isinstance(value, FloatHistogram) and isinstance(previous, FloatHistogram):
        return not equals(value, previous)
    return True


def _reset(value: Number, previous: Number) -> bool:
    if isinstance(value, float) and isinstance(previous, float):
        return value < previous
    if isinstance(value, FloatHistogram) and isinstance(previous, FloatHistogram):
        return detect_reset(value, previous)
    return True
