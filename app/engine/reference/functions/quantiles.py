"""Functions that look into histograms: native ones, and classic ones made of buckets."""

import math
from collections.abc import Callable, Iterable, Sequence

from app.engine.histogram import classic, statistics
from app.engine.histogram.model import FloatHistogram
from app.engine.histogram.statistics import NanObservations
from app.engine.model import METRIC_NAME, Annotations, Forced, Labels
from app.engine.promql.ast import Span
from app.engine.promql.quoting import quoted
from app.engine.reference.elements import METADATA, Element, Instant, label, with_label, without
from app.engine.reference.numbers import divide, go_g

Buckets = list[tuple[float, float]]
OfHistogram = Callable[[FloatHistogram], tuple[float, NanObservations | None]]
OfBuckets = Callable[[Buckets], float]
STATISTICS: dict[str, Callable[[FloatHistogram], float]] = {
    "histogram_avg": lambda histogram: divide(histogram.sum, histogram.count),
    "histogram_count": lambda histogram: histogram.count,
    "histogram_sum": lambda histogram: histogram.sum,
    "histogram_stddev": statistics.deviation,
    "histogram_stdvar": statistics.variance,
}


class Histograms:
    """Both kinds of histogram of one step's vector.

    :param span: of the vector, for annotations.
    """

    def __init__(
        self, elements: Iterable[Element], annotations: Annotations, span: Span, time: int, *, delayed: bool
    ) -> None:
        self._annotations = annotations
        self._span = span
        self._time = time
        self._delayed = delayed
        self._native: list[tuple[Labels, FloatHistogram]] = []
        self._classic: dict[Labels, Buckets] = {}
        for element in elements:
            if element.histogram is not None:
                self._native.append((element.labels, element.histogram))
            elif (bound := self._bound(element.labels)) is not None:
                assert isinstance(element.value, float)
                key = without(element.labels, frozenset({"le"}))
                self._classic.setdefault(key, []).append((bound, element.value))
        self._drop_conflicts()

    def _shown(self, labels: Labels) -> str:
        """Metric names are known to annotations only where they are not dropped on the way."""
        name = label(labels, METRIC_NAME) if self._delayed else ""
        return f" for metric name {quoted(name)}" if name else ""

    def _bound(self, labels: Labels) -> float | None:
        text = label(labels, "le")
        try:
            return float(text.replace("Inf", "inf")) if text.strip() == text and "_" not in text else _bad()
        except ValueError:
            self._annotations.warn(
                f'bucket label "le" is missing or has a malformed value of {quoted(text)}'
                + self._shown(labels),
                self._span,
            )
            return None

    def _drop_conflicts(self) -> None:
        """A classic and a native histogram of the same name and labels: neither can be preferred."""
        clashing = {labels for labels, _ in self._native} & self._classic.keys()
        for labels in clashing:
            self._annotations.warn(
                "vector contains a mix of classic and native histograms" + self._shown(labels), self._span
            )
            del self._classic[labels]
        self._native = [pair for pair in self._native if pair[0] not in clashing]

    def _elements(self, of_native: OfHistogram, of_classic: Callable[[Labels, Buckets], float]) -> Instant:
        found = []
        for labels, histogram in self._native:
            value, note = of_native(histogram)
            if note is not None:
                # As Prometheus, which looks for the name after it may have dropped it.
                self._annotations.info(note.value + self._shown(labels), self._span)
            found.append(self._element(labels, value))
        for labels, buckets in self._classic.items():
            found.append(self._element(labels, of_classic(labels, buckets)))
        return found

    def _element(self, labels: Labels, value: float) -> Element:
        return Element(labels if self._delayed else without(labels, METADATA), value, self._time, True)

    def quantile(self, q: float) -> Instant:
        def of_classic(labels: Labels, buckets: Buckets) -> float:
            found = classic.bucket_quantile(q, buckets)
            if found.forced_monotonic:
                forced = Forced(self._time, self._time, found.min_bucket, found.max_bucket, found.max_diff)
                self._annotations.forced_monotonic(self._shown(labels), self._span, forced)
            return found.value

        return self._elements(lambda histogram: statistics.quantile(q, histogram), of_classic)

    def quantiles(self, name: str, qs: Sequence[float]) -> Instant:
        """For each quantile, in a label of its own."""
        found = []
        for q in qs:
            for element in self.quantile(q):
                element.labels = with_label(element.labels, name, _open_metrics(q))
                found.append(element)
        return found

    def fraction(self, lower: float, upper: float) -> Instant:
        return self._elements(
            lambda histogram: statistics.fraction(lower, upper, histogram),
            lambda _, buckets: classic.bucket_fraction(lower, upper, buckets),
        )


def check_quantile(q: float, annotations: Annotations, span: Span) -> None:
    if not 0 <= q <= 1:
        annotations.warn(f"quantile value should be between 0 and 1, got {go_g(q)}", span)


def _bad() -> float:
    raise ValueError


def _open_metrics(value: float) -> str:
    """As OpenMetrics writes a quantile: ``0.0``, ``1.0``, ``0.99``."""
    if value in (0.0, 1.0, -1.0):
        return f"{value:.1f}"
    text = go_g(value)
    return text if math.isinf(value) or math.isnan(value) or "." in text or "e" in text else text + ".0"
