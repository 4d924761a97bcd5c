"""The bucket layout that all native histograms of a table share, with a place in a row for each bucket."""

from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.fast.context import NotServed
from app.engine.fast.grid import Values
from app.engine.histogram.columns import Layout
from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, exponential_bound
from app.engine.kernels.native_windows import ROW_BUCKETS

_WIDEST = 4096


class Shape(msgspec.Struct, frozen=True):
    """A row: count, sum, negative buckets from the farthest from zero, the zero bucket, positive buckets.

    :param positive: the indexes of the positive buckets, without gaps; `negative` likewise.
    """

    schema: int
    zero_threshold: float
    custom_values: tuple[float, ...]
    positive: range
    negative: range

    @property
    def width(self) -> int:
        """Floats in a row."""
        return ROW_BUCKETS + len(self.negative) + 1 + len(self.positive)

    @property
    def zero(self) -> int:
        """The place of the zero bucket."""
        return ROW_BUCKETS + len(self.negative)

    @property
    def custom(self) -> bool:
        return self.schema == CUSTOM_SCHEMA

    def places(self, layout: Layout) -> list[int]:
        """Where its buckets are, positive ones first."""
        above, below = self.zero + 1 - self.positive.start, self.zero - 1 + self.negative.start
        return [above + index for index in layout.positive] + [below - index for index in layout.negative]

    def layout(self) -> Layout:
        """Of all buckets that have a place."""
        return Layout(
            self.schema,
            self.zero_threshold,
            tuple(self.positive),
            tuple(self.negative),
            self.custom_values,
        )

    def bounds(self) -> tuple[Values, Values]:
        """(width,) float64 each: where the bucket of each place begins and ends, beside the zero bucket."""
        lower, upper = np.zeros(self.width), np.zeros(self.width)
        of_schema = FloatHistogram(schema=self.schema, custom_values=self.custom_values).bound
        threshold = self.zero_threshold
        lower[self.zero], upper[self.zero] = -threshold, threshold
        for place, index in enumerate(self.positive, self.zero + 1):
            low = of_schema(index - 1)
            lower[place], upper[place] = threshold if 0 < low < threshold else low, of_schema(index)
        for index in self.negative:
            place = self.zero - 1 - (index - self.negative.start)
            high = -of_schema(index - 1)
            lower[place], upper[place] = -of_schema(index), -threshold if 0 > high > -threshold else high
        return lower, upper


def common_shape(layouts: Iterable[Layout]) -> Shape:
    """
    :raises NotServed: they differ in more than which buckets there are.
    """
    found = list(layouts)
    if not found:
        return Shape(0, 0.0, (), range(0), range(0))
    one = found[0]
    for each in found:
        if (each.schema, each.zero_threshold, each.custom_values) != (
            one.schema,
            one.zero_threshold,
            one.custom_values,
        ):
            raise NotServed("native histograms of different bucket layouts")
    shape = Shape(
        one.schema,
        one.zero_threshold,
        one.custom_values,
        _covering(each.positive for each in found),
        _covering(each.negative for each in found),
    )
    if shape.width > _WIDEST:
        raise NotServed("native histograms with very many buckets")
    for side in (shape.positive, shape.negative):
        if side and not shape.custom and exponential_bound(side.start, shape.schema) <= shape.zero_threshold:
            raise NotServed("native histograms with buckets inside of the zero bucket")
    return shape


def _covering(sides: Iterable[tuple[int, ...]]) -> range:
    filled = [side for side in sides if side]
    if not filled:
        return range(0)
    return range(min(side[0] for side in filled), max(side[-1] for side in filled) + 1)


def targets(shape: Shape, layouts: Iterable[Layout]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the buckets of each layout go, and where each layout begins."""
    places = [shape.places(layout) for layout in layouts]
    starts = np.cumsum([0, *map(len, places)]).astype(np.int64)
    return np.array([place for own in places for place in own], np.int64), starts
