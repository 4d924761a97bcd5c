"""The native histogram that is calculated with."""

import math
import sys
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache

import msgspec

from app.engine.histogram.bounds import FRACTIONS
from app.engine.histogram.floats import scale

CUSTOM_SCHEMA = -53
"""The schema of histograms with bucket bounds of their own (NHCB)."""


class ResetHint(Enum):
    """What is known about a counter reset before this histogram."""

    UNKNOWN = "unknown"
    RESET = "reset"
    NOT_RESET = "not_reset"
    GAUGE = "gauge"


class FloatHistogram(msgspec.Struct, frozen=True):
    """A histogram with float counts. Buckets are absolute counts by index; an empty bucket has no entry.

    Index `i` of an exponential schema holds `(2**((i-1) / 2**schema), 2**(i / 2**schema)]`; of custom
    bounds `(custom_values[i-1], custom_values[i]]`, the last one up to infinity. The negative buckets
    mirror the positive.

    :param schema: -4 to 8, or `CUSTOM_SCHEMA`.
    :param custom_values: upper bounds, rising, without infinity; empty for exponential schemas.
    """

    schema: int = 0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    count: float = 0.0
    sum: float = 0.0
    positive: Mapping[int, float] = {}
    negative: Mapping[int, float] = {}
    custom_values: tuple[float, ...] = ()
    reset_hint: ResetHint = ResetHint.UNKNOWN

    @property
    def custom(self) -> bool:
        """Whether its bounds are its own."""
        return self.schema == CUSTOM_SCHEMA

    def bound(self, index: int) -> float:
        """The upper bound of a positive bucket, which is the lower one of the next."""
        if self.custom:
            if index < 0:
                return -math.inf
            return self.custom_values[index] if index < len(self.custom_values) else math.inf
        return exponential_bound(index, self.schema)


class HistogramMismatch(Exception):
    """One histogram has an exponential schema, the other bounds of its own: they cannot be combined."""


@lru_cache(maxsize=16_384)
def exponential_bound(index: int, schema: int) -> float:
    """The upper bound of bucket `index`: `2**(index / 2**schema)`, infinity past the largest float.

    The last bucket before infinity ends at the largest float, so that observations of infinity, and only
    they, fall into the bucket after it.

    :param schema: up to 8.
    """
    if schema < 0:
        fraction, exponent = 0.5, (index << -schema) + 1
    else:
        fraction, exponent = FRACTIONS[(index % (1 << schema)) << (8 - schema)], (index >> schema) + 1
    if fraction == 0.5 and exponent == 1025:
        return sys.float_info.max
    return scale(fraction, exponent)


def populated(buckets: Mapping[int, float]) -> dict[int, float]:
    """Without the empty ones, which a histogram never holds."""
    return {index: count for index, count in buckets.items() if count != 0}
