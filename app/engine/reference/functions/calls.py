"""Which function is which: calls with their arguments evaluated."""

import math
from collections.abc import Iterable, Iterator
from typing import Protocol

from app.engine.histogram.model import FloatHistogram
from app.engine.model import Annotations, Query
from app.engine.promql import ast
from app.engine.promql.ast import Expr
from app.engine.promql.quoting import quoted
from app.engine.reference.elements import METADATA, Element, Instant, Window, without
from app.engine.reference.functions.extended import Extended
from app.engine.reference.functions.instant import DATES, MATHEMATICS, clamped, date_part, rounded
from app.engine.reference.functions.labelling import absent_labels, by_labels, joined, replaced
from app.engine.reference.functions.over_time import OverTime
from app.engine.reference.functions.quantiles import STATISTICS, Histograms, check_quantile
from app.engine.reference.functions.rates import Rates

EXTENDED_SAFE = {
    "anchored": frozenset({"resets", "changes", "rate", "increase", "delta"}),
    "smoothed": frozenset({"rate", "increase", "delta"}),
}
"""The functions that know how to read a window that reaches past its range."""
_RATES = {"rate": (True, True), "increase": (True, False), "delta": (False, False)}
_INSTANT_RATES = {"irate": (True, True), "idelta": (False, False)}
_COUNTER_ENDS = ("_total", "_sum", "_count", "_bucket")
_SORTS = frozenset({"sort", "sort_desc", "sort_by_label", "sort_by_label_desc"})
Number = float | FloatHistogram


class Evaluates(Protocol):
    """The evaluator, as functions see it."""

    def scalar(self, node: Expr, time: int) -> float: ...

    def vector(self, node: Expr, time: int) -> Instant: ...

    def polled(self, items: Iterable[Element]) -> Iterator[Element]:
        """The same elements, with a look at the cancel flag now and then."""
        ...

    def room(self, size: int) -> None:
        """:raises TooMuchMemory: so many bytes are more than the query may have."""
        ...


class WindowCall:
    """One call of a function of a range vector, at one step."""

    def __init__(
        self, node: ast.Call, arg: Expr, numbers: list[float], time: int, annotations: Annotations
    ) -> None:
        self._func = node.func
        self._numbers = numbers
        self._annotations = annotations
        self._span = arg.span
        selector = arg.selector if isinstance(arg, ast.MatrixSelector) else ast.VectorSelector()
        self._extended = selector.anchored or selector.smoothed
        self._over_time = OverTime(
            annotations,
            node.args[0].span if node.func == "quantile_over_time" else arg.span,
            time,
            anchored=selector.anchored,
        )
        counter, per_second = {**_RATES, **_INSTANT_RATES}.get(node.func, (False, False))
        self._rates = Rates(annotations, arg.span, counter=counter, per_second=per_second)
        self._extending = Extended(
            annotations, arg.span, counter=counter, per_second=per_second, smoothed=selector.smoothed
        )

    def value(self, window: Window) -> Number | None:
        """None: this series has no value at this step."""
        if self._func in _INSTANT_RATES:
            return self._rates.instant(window)
        if self._func not in _RATES:
            found: Number | None = getattr(self._over_time, self._func)(window, *self._numbers)
            return found
        found = self._extending.rate(window) if self._extended else self._rates.extrapolated(window)
        if self._func in ("rate", "increase") and isinstance(found, float):
            self._check_name(window.name)
        return found

    def _check_name(self, name: str) -> None:
        if name and not name.endswith(_COUNTER_ENDS):
            self._annotations.info(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
                + quoted(name),
                self._span,
            )


def instant_call(
    evaluator: Evaluates, node: ast.Call, time: int, annotations: Annotations, query: Query
) -> Instant:
    """A function of instant vectors, numbers and strings.

    :raises EvaluationError: an argument makes no sense.
    """
    func, args = node.func, [ast.unwrapped(arg) for arg in node.args]
    delayed = query.delayed_name_removal
    if func == "vector":
        return [Element((), evaluator.scalar(args[0], time), time)]
    if func in DATES and not args:
        return [Element((), date_part(func, float(time // 1000)), time)]
    if func.startswith("histogram_") and func not in STATISTICS:
        return _quantiles(evaluator, node, time, annotations, delayed)
    elements = evaluator.vector(args[0], time)
    strings = [arg.value for arg in args if isinstance(arg, ast.StringLiteral)]
    if func == "absent":
        return [] if elements else [Element(absent_labels(args[0]), 1.0, time)]
    if func == "label_replace":
        to, template, source, expression = strings
        return replaced(evaluator.polled(elements), to, template, source, expression, evaluator.room)
    if func == "label_join":
        return joined(evaluator.polled(elements), strings[0], strings[1], strings[2:], evaluator.room)
    if func in _SORTS:
        if query.start != query.end:
            text = "sort is ineffective for range queries since results are always ordered by labels"
            annotations.warn(text, node.span)
        return _sorted(func, elements, strings)
    if func == "start_timestamp":
        return []  # the stores send none
    if func == "timestamp":
        fresh = isinstance(args[0], ast.VectorSelector)
        return [_dropped(each, (each.time if fresh else time) / 1000, time, delayed) for each in elements]
    if func in STATISTICS:
        return [
            _dropped(each, STATISTICS[func](each.histogram), time, delayed)
            for each in evaluator.polled(elements)
            if each.histogram is not None
        ]
    numbers = [evaluator.scalar(arg, time) for arg in args[1:]]
    return _mapped(func, evaluator.polled(elements), numbers, time, delayed)


def _mapped(
    func: str, elements: Iterable[Element], numbers: list[float], time: int, delayed: bool
) -> Instant:
    """Functions of each float by itself."""
    if func == "clamp" and numbers[1] < numbers[0]:
        return []
    found = []
    for each in elements:
        if not isinstance(each.value, float):
            continue
        if func in MATHEMATICS:
            value = MATHEMATICS[func](each.value)
        elif func in DATES:
            value = date_part(func, each.value)
        elif func == "round":
            value = rounded(each.value, numbers[0] if numbers else 1.0)
        else:
            low = -math.inf if func == "clamp_max" else numbers[0]
            value = clamped(each.value, low, math.inf if func == "clamp_min" else numbers[-1])
        found.append(_dropped(each, value, time, delayed))
    return found


def _dropped(element: Element, value: float, time: int, delayed: bool) -> Element:
    labels = element.labels if delayed else without(element.labels, METADATA)
    return Element(labels, float(value), time, True)


def _sorted(func: str, elements: Instant, names: list[str]) -> Instant:
    descending = func.endswith("_desc")
    if names or func.startswith("sort_by_label"):
        return sorted(elements, key=by_labels(names, descending=descending))  # type: ignore[arg-type]
    floats = [each for each in elements if isinstance(each.value, float)]

    def rank(element: Element) -> tuple[bool, float]:
        value = element.value
        assert isinstance(value, float)
        return (True, 0.0) if math.isnan(value) else (False, -value if descending else value)

    return sorted(floats, key=rank)


def _quantiles(
    evaluator: Evaluates, node: ast.Call, time: int, annotations: Annotations, delayed: bool
) -> Instant:
    func, args = node.func, node.args
    vector = args[0] if func == "histogram_quantiles" else args[-1]
    elements = evaluator.vector(vector, time)
    if func == "histogram_fraction":
        lower, upper = evaluator.scalar(args[0], time), evaluator.scalar(args[1], time)
        histograms = Histograms(evaluator.polled(elements), annotations, vector.span, time, delayed=delayed)
        return histograms.fraction(lower, upper)
    wanted = args[2:] if func == "histogram_quantiles" else args[:1]
    qs = [evaluator.scalar(arg, time) for arg in wanted]
    for q, arg in zip(qs, wanted, strict=True):
        check_quantile(q, annotations, arg.span)
    histograms = Histograms(evaluator.polled(elements), annotations, vector.span, time, delayed=delayed)
    if func == "histogram_quantile":
        return histograms.quantile(qs[0])
    name = ast.unwrapped(args[1])
    assert isinstance(name, ast.StringLiteral)
    return histograms.quantiles(name.value, qs)
