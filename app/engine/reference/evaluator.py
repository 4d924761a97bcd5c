"""The reference evaluator: every node at one step at a time. Plain, slow, and the oracle of the fast path."""

from collections.abc import Mapping, Sequence

from app.engine.histogram import arithmetic
from app.engine.model import Annotations, EvaluationError, Labels, Query, Series
from app.engine.prepare import Prepared, info_placed, info_selector, invariant, subquery_times
from app.engine.promql import ast
from app.engine.promql.ast import Expr, ValueType, VectorSelector
from app.engine.promql.typecheck import type_of
from app.engine.reference.aggregations import Aggregating
from app.engine.reference.binary import DUPLICATE, Binary, scalars
from app.engine.reference.elements import METADATA, Element, Instant, Window, without
from app.engine.reference.functions.calls import EXTENDED_SAFE, WindowCall, instant_call
from app.engine.reference.functions.info import enriched
from app.engine.reference.functions.labelling import absent_labels
from app.engine.reference.holding import Holding
from app.engine.reference.numbers import larger, smaller
from app.engine.reference.selecting import Seen, gathered


class Evaluator:
    """Mutable: what was evaluated already and holds for other steps.

    :param series: what each selector of the query has found.
    :param holding: counts what is held, and raises where the query is to end.
    """

    def __init__(
        self,
        prepared: Prepared,
        series: Mapping[VectorSelector, Sequence[Series]],
        annotations: Annotations,
        holding: Holding,
    ) -> None:
        self._query: Query = prepared.query
        self._annotations = annotations
        self._holding = holding
        self._check = holding.check
        self.polled = holding.polled
        self.room = holding.room
        self._delayed = prepared.query.delayed_name_removal
        self._seen = Seen(prepared.query, annotations, holding)
        self._found = series
        self._series: dict[int, Sequence[Series]] = {}
        self._invariant: dict[int, bool] = {}
        self._kept: dict[int, Instant] = {}
        self._inner: dict[tuple[int, int], Instant] = {}
        self._sources: dict[int, dict[Labels, Labels]] = {}

    # -- nodes by what they give

    def scalar(self, node: Expr, time: int) -> float:
        """A number at one step."""
        self._check()
        match node:
            case ast.NumberLiteral():
                return node.value
            case ast.ParenExpr():
                return self.scalar(node.expr, time)
            case ast.UnaryExpr():
                value = self.scalar(node.expr, time)
                return -value if node.op == "-" else value
            case ast.BinaryExpr():
                return scalars(node.op, self.scalar(node.left, time), self.scalar(node.right, time))
            case ast.Call():
                return self._scalar_call(node, time)
        raise AssertionError(f"not a scalar: {node}")

    def _scalar_call(self, node: ast.Call, time: int) -> float:
        match node.func:
            case "time":
                return time / 1000
            case "pi":
                return 3.141592653589793
            case "scalar":
                floats = [each.value for each in self.vector(node.args[0], time) if each.histogram is None]
                return float(floats[0]) if len(floats) == 1 else float("nan")  # type: ignore[arg-type]
        pair = self.scalar(node.args[0], time), self.scalar(node.args[1], time)
        return larger(*pair) if node.func == "max_of" else smaller(*pair)

    def vector(self, node: Expr, time: int) -> Instant:
        """An instant vector at one step.

        :raises EvaluationError: the query cannot be answered.
        """
        self._check()
        if not self._is_invariant(node):
            return self._vector(node, time)
        if id(node) not in self._kept:
            self._kept[id(node)] = self._vector(node, time)
        return [Element(each.labels, each.value, each.time, each.drop_name) for each in self._kept[id(node)]]

    def _is_invariant(self, node: Expr) -> bool:
        found = self._invariant.get(id(node))
        if found is None:
            found = self._invariant[id(node)] = invariant(node)
        return found

    def _vector(self, node: Expr, time: int) -> Instant:
        match node:
            case VectorSelector():
                return self._seen.instant(node, self._selected(node), time)
            case ast.ParenExpr():
                return self.vector(node.expr, time)
            case ast.UnaryExpr():
                return self._negated(node, time)
            case ast.BinaryExpr():
                return self._unique(self._binary(node, time))
            case ast.AggregateExpr():
                return self._aggregated(node, time)
            case ast.Call():
                return self._call(node, time)
        raise AssertionError(f"not an instant vector: {node}")

    def _selected(self, node: VectorSelector) -> Sequence[Series]:
        """By identity, since a selector is looked at at each step."""
        if id(node) not in self._series:
            self._series[id(node)] = self._found[node]
        return self._series[id(node)]

    def windows(self, node: Expr, time: int) -> list[Window]:
        """A range vector at one step."""
        node = ast.unwrapped(node)
        if isinstance(node, ast.MatrixSelector):
            return self._seen.windows(node, self._selected(node.selector), time)
        assert isinstance(node, ast.SubqueryExpr)
        steps = subquery_times(node, time, self._query)
        values = [(each, self._inner_value(node.expr, each)) for each in steps]
        end = (time if node.at is None else node.at) - node.offset
        self._holding.points(sum(len(elements) for _, elements in values))
        return gathered(self.polled, values, end - node.range, end, node.range / 1000)

    def _inner_value(self, node: Expr, time: int) -> Instant:
        """Subqueries of neighbouring steps share most of their instants."""
        key = id(node), time
        if key not in self._inner:
            before = self._holding.text
            self._inner[key] = self.vector(node, time)
            self._holding.kept(self._inner[key], before)
        return self._inner[key]

    # -- operators

    def _unique(self, elements: Instant) -> Instant:
        if len({each.labels for each in self.polled(elements)}) < len(elements):
            raise EvaluationError(DUPLICATE)
        return elements

    def _negated(self, node: ast.UnaryExpr, time: int) -> Instant:
        elements = self.vector(node.expr, time)
        if node.op == "+":
            return elements
        found = []
        for each in self.polled(elements):
            labels = each.labels if self._delayed else without(each.labels, METADATA)
            value = each.value
            value = -value if isinstance(value, float) else arithmetic.mul(value, -1.0)
            found.append(Element(labels, value, time, True))
        return found if self._delayed else self._unique(found)

    def _binary(self, node: ast.BinaryExpr, time: int) -> Instant:
        binary = Binary(node, self._annotations, time, self.polled, delayed=self._delayed)
        kinds = type_of(node.left), type_of(node.right)
        if kinds[0] is ValueType.SCALAR:
            number = self.scalar(node.left, time)
            return binary.with_scalar(self.vector(node.right, time), number, swapped=True)
        if kinds[1] is ValueType.SCALAR:
            elements = self.vector(node.left, time)
            return binary.with_scalar(elements, self.scalar(node.right, time), swapped=False)
        return binary.vectors(self.vector(node.left, time), self.vector(node.right, time))

    def _aggregated(self, node: ast.AggregateExpr, time: int) -> Instant:
        param: float | str | None = None
        if node.param is not None:
            inner = ast.unwrapped(node.param)
            param = inner.value if isinstance(inner, ast.StringLiteral) else self.scalar(inner, time)
        aggregating = Aggregating(node, self._annotations, time, self.polled)
        return aggregating.result(self.vector(node.expr, time), param)

    # -- functions

    def _call(self, node: ast.Call, time: int) -> Instant:
        for place, arg in enumerate(node.args):
            if type_of(arg) is ValueType.MATRIX:
                return self._window_call(node, place, time)
        if node.func == "info":
            selector = info_selector(node)
            base = self.vector(node.args[0], time)
            return self._unique(
                enriched(self.polled(base), self._info(node, selector, time), selector.matchers)
            )
        return self._unique(instant_call(self, node, time, self._annotations, self._query))

    def _info(self, node: ast.Call, selector: VectorSelector, time: int) -> Instant:
        placed = info_placed(node, selector)
        return self._seen.instant(placed, self._found.get(selector, ()), time)

    def _window_call(self, node: ast.Call, place: int, time: int) -> Instant:
        arg = ast.unwrapped(node.args[place])
        numbers = [self.scalar(each, time) for at, each in enumerate(node.args) if at != place]
        selector = arg.selector if isinstance(arg, ast.MatrixSelector) else None
        self._check_extended(node, selector)
        before = self._holding.windows
        windows = self.windows(arg, time)
        if node.func == "absent_over_time":
            self._holding.windows_end(before)
            return [] if windows else [Element(absent_labels(arg), 1.0, time, True)]
        call = WindowCall(node, arg, numbers, time, self._annotations)
        keeps = node.func in ("first_over_time", "last_over_time")
        found = []
        for window in windows:
            self._check()
            value = call.value(window)
            if value is None:
                continue
            drops = window.drop_name or not keeps
            labels = window.labels
            if drops and not self._delayed:
                labels = without(labels, METADATA)
                self._check_source(node, labels, window.labels)
            found.append(Element(labels, value, time, drops))
        self._holding.windows_end(before)
        return found

    def _check_source(self, node: ast.Call, labels: Labels, source: Labels) -> None:
        """Two series may not become one, not even where only one of them has a value at each step."""
        if self._sources.setdefault(id(node), {}).setdefault(labels, source) != source:
            raise EvaluationError(DUPLICATE)

    def _check_extended(self, node: ast.Call, selector: VectorSelector | None) -> None:
        for modifier, safe in EXTENDED_SAFE.items():
            if selector is not None and getattr(selector, modifier) and node.func not in safe:
                functions = ", ".join(sorted(safe))
                raise EvaluationError(
                    f"{modifier} modifier can only be used with: {functions} - not with {node.func}"
                )

    # -- the end

    def cleaned(self, elements: Instant) -> Instant:
        """With names dropped where that was put off."""
        if not self._delayed:
            return elements
        for each in elements:
            if each.drop_name:
                each.labels = without(each.labels, METADATA)
        return self._unique(elements)
