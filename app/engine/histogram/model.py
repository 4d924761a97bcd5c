"""The native histogram that is calculated with."""

import math
from collections.abc import Mapping
from enum import Enum

import msgspec

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
        """The upper bound of a positive bucket."""
        if self.custom:
            return self.custom_values[index] if index < len(self.custom_values) else math.inf
        return exponential_bound(index, self.schema)


def exponential_bound(index: int, schema: int) -> float:
    """The upper bound of bucket `index`: `2**(index / 2**schema)`, infinity past the largest float."""
    raise NotImplementedError
