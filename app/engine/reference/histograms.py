"""Native histograms in evaluation: their arithmetic with what it has to say as annotations."""

from collections.abc import Callable, Sequence

from app.engine.histogram import arithmetic
from app.engine.histogram.arithmetic import Notes
from app.engine.histogram.model import FloatHistogram, HistogramMismatch
from app.engine.histogram.sums import HistogramMean, HistogramSum
from app.engine.model import Annotations
from app.engine.promql.ast import Span
from app.engine.promql.quoting import quoted

MIXED = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name "
Operation = Callable[[FloatHistogram, FloatHistogram], tuple[FloatHistogram, Notes]]


def aggregated(
    named: Sequence[tuple[str, FloatHistogram]], average: bool, annotations: Annotations, span: Span
) -> FloatHistogram | None:
    """The sum or mean; None, with a warning that names the metric, where the bounds do not go together.

    :param named: metric names and histograms, at least one.
    """
    summing = (HistogramMean if average else HistogramSum)(named[0][1])
    found: FloatHistogram | None = None
    name = named[0][0]
    try:
        for at, histogram in named[1:]:
            name = at
            summing.add(histogram)
        found = summing.result()
    except HistogramMismatch:
        annotations.warn(MIXED + quoted(name), span)
    if summing.notes.reset_collision:
        annotations.warn("conflicting counter resets during histogram aggregation", span)
    if summing.notes.bounds_reconciled:
        reconciled("aggregation", annotations, span)
    return found


def reconciled(operation: str, annotations: Annotations, span: Span) -> None:
    annotations.info(f"mismatched custom buckets were reconciled during {operation}", span)


class Combining:
    """Sums and differences for one metric of one expression.

    :param name: of the metric, for warnings.
    """

    def __init__(self, name: str, annotations: Annotations, span: Span) -> None:
        self._name = name
        self._annotations = annotations
        self._span = span

    def add(self, a: FloatHistogram, b: FloatHistogram) -> FloatHistogram | None:
        return self._combined(arithmetic.add, a, b, "addition")

    def sub(self, a: FloatHistogram, b: FloatHistogram) -> FloatHistogram | None:
        return self._combined(arithmetic.sub, a, b, "subtraction")

    def _combined(
        self, operation: Operation, a: FloatHistogram, b: FloatHistogram, what: str
    ) -> FloatHistogram | None:
        """None, with a warning, where the bounds do not go together."""
        try:
            result, notes = operation(a, b)
        except HistogramMismatch:
            self.mixed()
            return None
        if notes.bounds_reconciled:
            reconciled(what, self._annotations, self._span)
        return result

    def mixed(self) -> None:
        self._annotations.warn(MIXED + quoted(self._name), self._span)

    def not_counter(self) -> None:
        text = f"this native histogram metric is not a counter: {quoted(self._name)}"
        self._annotations.warn(text, self._span)

    def not_gauge(self) -> None:
        text = f"this native histogram metric is not a gauge: {quoted(self._name)}"
        self._annotations.warn(text, self._span)
