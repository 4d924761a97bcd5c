"""Aggregations of one step."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from app.engine.histogram.buckets import to_text
from app.engine.histogram.model import FloatHistogram
from app.engine.model import METRIC_NAME, Annotations, EvaluationError, Labels
from app.engine.promql import ast
from app.engine.promql.printer import plain
from app.engine.promql.quoting import is_text, quoted
from app.engine.reference.elements import Element, Instant, label, only, with_label, without
from app.engine.reference.histograms import aggregated
from app.engine.reference.numbers import go_g, kahan, mean, quantile
from app.kernels.xxh64 import xxh64

MAX_INT64 = 2.0**63


class Aggregating:
    """One aggregation; nothing is kept between steps."""

    def __init__(
        self,
        node: ast.AggregateExpr,
        annotations: Annotations,
        time: int,
        polled: Callable[[Instant], Iterator[Element]],
    ) -> None:
        self._polled = polled
        self._node = node
        self._annotations = annotations
        self._time = time
        self._names = frozenset(node.grouping)

    def result(self, elements: Instant, param: float | str | None) -> Instant:
        """
        :param param: of `topk` and its like a number, of `count_values` a label name.
        :raises EvaluationError: the parameter makes no sense.
        """
        op = self._node.op
        if op == "count_values":
            return self._count_values(elements, str(param))
        if op in ("topk", "bottomk", "limitk", "limit_ratio"):
            assert isinstance(param, float)
            return self._chosen(elements, param)
        if op == "quantile":
            assert isinstance(param, float)
            self._check_quantile(param)
        found = []
        for labels, members in self._groups(elements).items():
            value = self._value(members, param)
            if value is not None:
                drop = any(member.drop_name for member in members)
                found.append(Element(labels, value, self._time, drop))
        return found

    def _key(self, labels: Labels) -> Labels:
        if self._node.without:
            return without(labels, self._names | {METRIC_NAME})
        return only(labels, self._names)

    def _groups(self, elements: Instant) -> dict[Labels, Instant]:
        """By output labels, in order of appearance."""
        found: dict[Labels, Instant] = {}
        for element in self._polled(elements):
            found.setdefault(self._key(element.labels), []).append(element)
        return found

    # -- one value for a group

    def _value(self, members: Instant, param: float | str | None) -> float | FloatHistogram | None:
        op = self._node.op
        if op == "count":
            return float(len(members))
        if op == "group":
            return 1.0
        if op in ("sum", "avg"):
            return self._sum(members, op == "avg")
        floats = self._floats(members, op)
        if not floats:
            return None
        if op == "quantile":
            assert isinstance(param, float)
            return quantile(param, floats)
        if op in ("stddev", "stdvar"):
            variance = _variance(floats)
            return math.sqrt(variance) if op == "stddev" else variance
        return _extreme(floats, op == "max")

    def _floats(self, members: Instant, op: str) -> list[float]:
        found = [member.value for member in members if isinstance(member.value, float)]
        if len(found) < len(members):
            self._annotations.info(f"ignored histogram in {op} aggregation", self._node.expr.span)
        return found

    def _sum(self, members: Instant, average: bool) -> float | FloatHistogram | None:
        floats = [member.value for member in members if isinstance(member.value, float)]
        span = self._node.expr.span
        if len(floats) == len(members):
            return mean(floats) if average else _sum(floats)
        if floats:
            self._annotations.warn("encountered a mix of histograms and floats for aggregation", span)
            return None
        return aggregated(
            [(label(member.labels, METRIC_NAME), member.value) for member in members if member.histogram],  # type: ignore[misc]
            average,
            self._annotations,
            span,
        )

    def _check_quantile(self, q: float) -> None:
        if not 0 <= q <= 1:
            assert self._node.param is not None
            self._annotations.warn(
                f"quantile value should be between 0 and 1, got {go_g(q)}", self._node.param.span
            )

    # -- some of the elements

    def _chosen(self, elements: Instant, param: float) -> Instant:
        op = self._node.op
        if op == "limit_ratio":
            return self._sampled(elements, param)
        if param < 1:
            return []
        if math.isnan(param):
            raise EvaluationError("Parameter value is NaN")
        if param >= MAX_INT64:
            raise EvaluationError(f"Scalar value {go_g(param)} overflows int64")
        count = min(int(param), len(elements))
        found: Instant = []
        for members in self._groups(elements).values():
            if op == "limitk":
                found.extend(members[:count])
                continue
            floats = [member for member in members if member.histogram is None]
            if len(floats) < len(members):
                self._annotations.info(f"ignored histogram in {op} aggregation", self._node.span)
            found.extend(sorted(floats, key=_rank(op == "topk"))[:count])
        return found

    def _sampled(self, elements: Instant, ratio: float) -> Instant:
        """Each series is in or out by a hash of its labels, so that `r` and `r - 1` are complements."""
        if math.isnan(ratio):
            raise EvaluationError("Ratio value is NaN")
        if abs(ratio) > 1:
            capped = math.copysign(1.0, ratio)
            assert self._node.param is not None
            self._annotations.warn(
                f"ratio value should be between -1 and 1, got {go_g(ratio)}, capping to {go_g(capped)}",
                self._node.param.span,
            )
            ratio = capped
        if ratio == 0:
            return []
        found: Instant = []
        for members in self._groups(elements).values():
            for member in self._polled(members):
                offset = _offset(member.labels)
                if (ratio >= 0 and offset < ratio) or (ratio < 0 and offset >= 1 + ratio):
                    found.append(member)
        return found

    def _count_values(self, elements: Instant, name: str) -> Instant:
        if not name or not is_text(name):
            raise EvaluationError(f"invalid label name {quoted(name)}")
        names = self._names if self._node.without else self._names | {name}
        counts: dict[Labels, int] = {}
        for element in self._polled(elements):
            text = plain(element.value) if isinstance(element.value, float) else to_text(element.value)
            labels = with_label(element.labels, name, text)
            key = without(labels, names | {METRIC_NAME}) if self._node.without else only(labels, names)
            counts[key] = counts.get(key, 0) + 1
        return [Element(labels, float(count), self._time) for labels, count in counts.items()]


def _offset(labels: Labels) -> float:
    """Between 0 and 1, by the hash that Prometheus calculates of labels."""
    text = b"".join(name.encode() + b"\xff" + value.encode() + b"\xff" for name, value in labels)
    return int(xxh64(np.frombuffer(text, np.uint8), 0, len(text))) / 2.0**64


def _sum(values: Sequence[float]) -> float:
    """As Prometheus's: the compensation is added even to an infinite total, where it is zero."""
    total, compensation = values[0], 0.0
    for value in values[1:]:
        total, compensation = kahan(value, total, compensation)
    return total + compensation


def _variance(values: Sequence[float]) -> float:
    average, found = values[0], 0.0 if math.isfinite(values[0]) else math.nan
    for count, value in enumerate(values[1:], 2):
        delta = value - average
        average += delta / count
        found += delta * (value - average)
    return found / len(values)


def _extreme(values: Sequence[float], largest: bool) -> float:
    found = values[0]
    for value in values[1:]:
        if math.isnan(found) or (value > found if largest else value < found):
            found = value
    return found


def _rank(largest: bool) -> Callable[[Element], tuple[bool, float]]:
    """Best first, NaN last; of equals the earlier, since sorting is stable."""

    def rank(element: Element) -> tuple[bool, float]:
        value = element.value
        assert isinstance(value, float)
        if math.isnan(value):
            return True, 0.0
        return False, -value if largest else value

    return rank
