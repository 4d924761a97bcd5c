"""The evaluator's twin that measures: what each node takes, and how many samples its selectors gave."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.engine.histogram.model import FloatHistogram
from app.engine.measuring import Measuring, analyzed, histogram_samples
from app.engine.model import Annotations, Series
from app.engine.prepare import Prepared
from app.engine.promql import ast
from app.engine.promql.ast import Expr, MatrixSelector, VectorSelector
from app.engine.promql.printer import text
from app.engine.reference.elements import Instant, Window
from app.engine.reference.evaluator import Evaluator
from app.engine.reference.holding import Holding


class MeasuringEvaluator(Evaluator):
    """Mutable: the measurements, and what was counted below nodes that are evaluated only once."""

    def __init__(
        self,
        prepared: Prepared,
        series: Mapping[VectorSelector, Sequence[Series]],
        annotations: Annotations,
        holding: Holding,
        measuring: Measuring,
    ) -> None:
        super().__init__(prepared, series, annotations, holding)
        self._measuring = measuring
        self._counted: dict[int, int] = {}

    def scalar(self, node: Expr, time: int) -> float:
        with self._measuring.evaluating(node, 1) as counted:
            found = super().scalar(node, time)
        self._pass_on(int(counted[0]), time)
        return found

    def vector(self, node: Expr, time: int) -> Instant:
        measuring = self._measuring
        with measuring.evaluating(node, 1) as counted:
            if id(node) in self._counted:
                measuring.count(self._counted[id(node)])  # as if it were evaluated at each step
            found = super().vector(node, time)
            if isinstance(node, VectorSelector) and id(node) not in self._counted:
                measuring.count(_sizes(each.value for each in found))
        if self._is_invariant(node):
            self._counted.setdefault(id(node), int(counted[0]))
        measured = measuring.of(node)
        measured.peak = max(measured.peak, len(found))
        self._pass_on(int(counted[0]), time)
        return found

    def windows(self, node: Expr, time: int) -> list[Window]:
        node, measuring = ast.unwrapped(node), self._measuring
        with measuring.evaluating(node, 1) as counted:
            found = super().windows(node, time)
            size = sum(len(each.floats) + _sizes(value for _, value in each.histograms) for each in found)
            if isinstance(node, MatrixSelector):
                measuring.count(size)
        measured = measuring.of(node)
        measured.peak = max(measured.peak, size)
        # Alone, a subquery is no window of a function: what was read for it counts.
        self._pass_on(size if measuring.inside else int(counted[0]), time)
        return found

    def _info(self, node: ast.Call, selector: VectorSelector, time: int) -> Instant:
        found = super()._info(node, selector, time)
        self._measuring.count(len(found))
        return found

    def _pass_on(self, count: int, time: int) -> None:
        if self._measuring.inside:
            self._measuring.count(count)
            return
        query = self._query
        self._measuring.at((time - query.start) // query.step if query.step else 0, count)


def _sizes(values: Iterable[float | FloatHistogram]) -> int:
    return sum(histogram_samples(each) if isinstance(each, FloatHistogram) else 1 for each in values)


def analysis(node: Expr, measuring: Measuring) -> Mapping[str, Any]:
    """A node and what is below it; a range selector is part of the function that reads it."""
    node = ast.unwrapped(node)
    below = (ast.unwrapped(child) for child in ast.children(node))
    wanted = (each for each in below if not isinstance(each, MatrixSelector | ast.StringLiteral))
    children = (analysis(each, measuring) for each in wanted)
    return analyzed(f"[reference] {text(node)}", measuring.of(node), children)
