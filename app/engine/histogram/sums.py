"""Sums and means of many histograms, compensated for what rounding takes (Kahan), as Prometheus's `sum`,
`avg`, `sum_over_time` and `avg_over_time` compute them."""

import math
from collections.abc import Mapping

import msgspec

from app.engine.histogram.arithmetic import Notes, add, check_match, div, joint_hint, mul, outside
from app.engine.histogram.floats import increment
from app.engine.histogram.layout import (
    Pair,
    add_to_bounds,
    common_bounds,
    reduced_pair,
    with_one_zero_bucket,
)
from app.engine.histogram.model import FloatHistogram, ResetHint, populated


class Compensated(msgspec.Struct, frozen=True):
    """A sum so far.

    :param rest: what rounding has taken from each part of `total`; None before the first addition. Its
        layout is that of `total`.
    """

    total: FloatHistogram
    rest: FloatHistogram | None = None

    def closed(self) -> FloatHistogram:
        """The sum with its rest."""
        return self.total if self.rest is None else add(self.total, self.rest)[0]

    def scaled_down(self, divisor: float) -> "Compensated":
        rest = None if self.rest is None else div(self.rest, divisor)
        return Compensated(div(self.total, divisor), rest)

    def scaled(self, factor: float) -> "Compensated":
        rest = None if self.rest is None else mul(self.rest, factor)
        return Compensated(mul(self.total, factor), rest)


def kahan_add(so_far: Compensated, other: FloatHistogram) -> tuple[Compensated, Notes]:
    """One more histogram in a compensated sum.

    :raises HistogramMismatch: one has custom bounds, the other an exponential schema.
    """
    h = so_far.total
    check_match(h, other)
    hint, collision = joint_hint(h.reset_hint, other.reset_hint)
    rest = so_far.rest or msgspec.structs.replace(
        h, zero_count=0.0, count=0.0, sum=0.0, positive={}, negative={}
    )
    notes = Notes(collision, bounds_reconciled=h.custom and h.custom_values != other.custom_values)
    count, count_rest = increment(other.count, h.count, rest.count)
    total, total_rest = increment(other.sum, h.sum, rest.sum)
    h = msgspec.structs.replace(h, count=count, sum=total, reset_hint=hint)
    rest = msgspec.structs.replace(rest, count=count_rest, sum=total_rest, reset_hint=hint)
    if h.custom:
        return _with_custom_buckets(h, rest, other), notes
    return _with_exponential_buckets(h, rest, other), notes


def _with_custom_buckets(h: FloatHistogram, rest: FloatHistogram, other: FloatHistogram) -> Compensated:
    bounds, (positive, positive_rest) = _added_custom(h, rest, other)
    return Compensated(
        msgspec.structs.replace(h, positive=positive, custom_values=bounds),
        msgspec.structs.replace(rest, positive=positive_rest, custom_values=bounds),
    )


def _with_exponential_buckets(h: FloatHistogram, rest: FloatHistogram, other: FloatHistogram) -> Compensated:
    h, widened, zero, lost = with_one_zero_bucket(h, other, rest)
    rest = widened or rest
    zero_count, zero_rest = increment(lost, *increment(zero, h.zero_count, rest.zero_count))
    positive, positive_rest = _added(h, other, (h.positive, rest.positive), other.positive)
    negative, negative_rest = _added(h, other, (h.negative, rest.negative), other.negative)
    schema = min(h.schema, other.schema)
    return Compensated(
        msgspec.structs.replace(
            h, schema=schema, zero_count=zero_count, positive=positive, negative=negative
        ),
        msgspec.structs.replace(
            rest, schema=schema, zero_count=zero_rest, positive=positive_rest, negative=negative_rest
        ),
    )


def _added_custom(
    h: FloatHistogram, rest: FloatHistogram, other: FloatHistogram
) -> tuple[tuple[float, ...], Pair]:
    """Bounds, buckets, and what rounding has taken from the buckets."""
    if h.custom_values == other.custom_values:
        pair = dict(h.positive), dict(rest.positive)
        _increment_each(pair, other.positive, {}, list(other.positive))
        return h.custom_values, (populated(pair[0]), populated(pair[1]))
    common = common_bounds(h.custom_values, other.custom_values)
    pair = {}, {}
    add_to_bounds(pair, h.positive, h.custom_values, common, rests=rest.positive)
    add_to_bounds(pair, other.positive, other.custom_values, common)
    return common, (populated(pair[0]), populated(pair[1]))


def _added(
    h: FloatHistogram,
    other: FloatHistogram,
    own: tuple[Mapping[int, float], Mapping[int, float]],
    others: Mapping[int, float],
) -> Pair:
    """One side's buckets of both, without those of `other` that the zero bucket of `h` holds."""
    schema = min(h.schema, other.schema)
    pair = reduced_pair(*own, h.schema - schema)
    values, rests = reduced_pair(others, {}, other.schema - schema)
    _increment_each(pair, values, rests, outside(values.keys() | rests.keys(), schema, h.zero_threshold))
    return populated(pair[0]), populated(pair[1])


def _increment_each(
    pair: Pair, values: Mapping[int, float], rests: Mapping[int, float], indexes: list[int]
) -> None:
    totals, lost = pair
    for index in indexes:
        value, rest = values.get(index, 0.0), rests.get(index, 0.0)
        if index not in totals and index not in lost:
            totals[index], lost[index] = value, rest
            continue
        total = increment(value, totals.get(index, 0.0), lost.get(index, 0.0))
        totals[index], lost[index] = increment(rest, *total) if rest else total


def overflows(h: FloatHistogram) -> bool:
    """Whether a count, the sum or a bound is infinite."""
    return (
        math.isinf(h.zero_count)
        or math.isinf(h.count)
        or math.isinf(h.sum)
        or any(map(math.isinf, h.positive.values()))
        or any(map(math.isinf, h.negative.values()))
        or any(map(math.isinf, h.custom_values))
    )


class HistogramSum:
    """Mutable: the sum of the histograms given so far, and what there is to say about it.

    The note of colliding hints is of all of them, whichever order they came in.
    """

    def __init__(self, first: FloatHistogram) -> None:
        self._sum = Compensated(first)
        self._hints = {first.reset_hint}
        self._reconciled = False

    def add(self, h: FloatHistogram) -> None:
        """One more of them.

        :raises HistogramMismatch: of it and the others, one has custom bounds, the other an exponential
            schema. The sum is of no use then.
        """
        self._hints.add(h.reset_hint)
        self._sum = self._more(self._sum, h)

    def result(self) -> FloatHistogram:
        return self._sum.closed()

    @property
    def notes(self) -> Notes:
        return Notes(
            reset_collision={ResetHint.RESET, ResetHint.NOT_RESET} <= self._hints,
            bounds_reconciled=self._reconciled,
        )

    def _more(self, so_far: Compensated, h: FloatHistogram) -> Compensated:
        result, notes = kahan_add(so_far, h)
        self._reconciled |= notes.bounds_reconciled
        return result


class HistogramMean(HistogramSum):
    """Mutable: the mean of the histograms given so far, and what there is to say about it.

    It is the sum divided by their number, until the sum overflows; from there on it is a running mean.
    """

    def __init__(self, first: FloatHistogram) -> None:
        super().__init__(first)
        self._number = 1.0
        self._running = False

    def add(self, h: FloatHistogram) -> None:
        """One more of them.

        :raises HistogramMismatch: of it and the others, one has custom bounds, the other an exponential
            schema. The mean is of no use then.
        """
        self._hints.add(h.reset_hint)
        self._number += 1
        if not self._running:
            longer = self._more(self._sum, h)
            if not overflows(longer.total):
                self._sum = longer
                return
            self._running = True
            self._sum = self._sum.scaled_down(self._number - 1)
        kept = self._sum.scaled((self._number - 1) / self._number)
        self._sum = self._more(kept, div(h, self._number))

    def result(self) -> FloatHistogram:
        return (self._sum if self._running else self._sum.scaled_down(self._number)).closed()
