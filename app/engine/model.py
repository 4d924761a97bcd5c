"""What goes into an evaluation and what comes out of it."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.histogram.floats import STALE_BITS
from app.engine.histogram.model import FloatHistogram
from app.engine.promql.ast import Matcher, Span
from app.engine.promql.errors import position

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name, none of the values empty."""

METRIC_NAME = "__name__"
FORCED_MONOTONIC = (
    "input to histogram_quantile needed to be fixed for monotonicity "
    "(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)
STALE = float(np.array([STALE_BITS], np.uint64).view(np.float64)[0])
"""The NaN with which Prometheus marks the end of a series."""


def is_stale(value: float) -> bool:
    """Whether it is the staleness marker, which is another NaN than an ordinary one."""
    return value != value and int(np.float64(value).view(np.uint64)) == STALE_BITS


def labels_of(mapping: Mapping[str, str]) -> Labels:
    """Sorted, without empty values, which mean absence."""
    return tuple(sorted((name, value) for name, value in mapping.items() if value))


class Series(msgspec.Struct, frozen=True):
    """Raw samples of one series, in order, deduplicated.

    :param times: (samples,) int64, milliseconds since the epoch, rising.
    :param values: (samples,) float64; at a histogram's place its sum, or the staleness marker.
    :param histograms: by position, where the series has native histograms.
    """

    labels: Labels
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    histograms: Mapping[int, FloatHistogram] = {}


class Hints(msgspec.Struct, frozen=True):
    """What a selector's surroundings let the stores save.

    :param start: milliseconds; samples before are not needed.
    :param range: of a range vector, milliseconds; 0 for an instant one.
    :param func: function or aggregation right above.
    """

    start: int
    end: int
    step: int = 0
    range: int = 0
    func: str = ""
    grouping: tuple[str, ...] = ()
    by: bool = False


class Sample(msgspec.Struct, frozen=True):
    """An element of an instant vector.

    :param value: a float, or a histogram.
    :param time: milliseconds since the epoch.
    """

    labels: Labels
    value: "float | FloatHistogram"
    time: int


class Scalar(msgspec.Struct, frozen=True):
    time: int
    value: float


class String(msgspec.Struct, frozen=True):
    time: int
    value: str


class Vector(msgspec.Struct, frozen=True):
    samples: Sequence[Sample]


class Row(msgspec.Struct, frozen=True):
    """One series of a range vector.

    :param times: (points,) int64, milliseconds since the epoch.
    :param values: (points,) float64, undefined at a histogram's place.
    :param histograms: by position.
    """

    labels: Labels
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    histograms: Mapping[int, FloatHistogram] = {}


class Matrix(msgspec.Struct, frozen=True):
    """Rows sorted by their labels."""

    rows: Sequence[Row]


Value = Scalar | String | Vector | Matrix


class EvaluationError(Exception):
    """The query is well formed, and cannot be answered: `execution` to HTTP clients."""


class WrongKind(EvaluationError):
    """The query has a kind of result that no range of steps can have: `bad_data` to HTTP clients."""


class Forced(msgspec.Struct, frozen=True):
    """How classic buckets had to be made monotonic for `histogram_quantile`, over some steps.

    :param first: milliseconds since the epoch; `last` likewise.
    :param low: the lowest bound at which it was needed; `high` the highest.
    :param most: by how much at most.
    """

    first: int
    last: int
    low: float
    high: float
    most: float
    count: int = 1

    def __or__(self, other: "Forced") -> "Forced":
        return Forced(
            min(self.first, other.first),
            max(self.last, other.last),
            min(self.low, other.low),
            max(self.high, other.high),
            max(self.most, other.most),
            self.count + other.count,
        )

    def __str__(self) -> str:
        times = [datetime.fromtimestamp(time // 1000, UTC) for time in (self.first, self.last)]
        since, until = (time.strftime("%Y-%m-%dT%H:%M:%SZ") for time in times)
        return (
            f", from buckets {_g(self.low)} to {_g(self.high)}, with a max diff of {_g(self.most, 2)}, "
            f"over {self.count} samples from {since} to {until}"
        )


class Annotations:
    """Mutable: what an evaluation has to say beside its result, each text once, in order of appearance."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str, Span | None], Forced | None] = {}

    def warn(self, text: str, span: Span | None = None) -> None:
        self._said.setdefault(("warning", text, span), None)

    def info(self, text: str, span: Span | None = None) -> None:
        self._said.setdefault(("info", text, span), None)

    def forced_monotonic(self, of_metric: str, span: Span, forced: Forced) -> None:
        """Classic buckets were repaired; over the steps of a query it is said once, with its extent."""
        key = ("info", FORCED_MONOTONIC + of_metric, span)
        before = self._said.get(key)
        self._said[key] = forced if before is None else before | forced

    def update(self, other: "Annotations") -> None:
        for key, forced in other._said.items():
            before = self._said.get(key)
            self._said[key] = before | forced if before is not None and forced is not None else forced

    def __bool__(self) -> bool:
        return bool(self._said)

    def texts(self, kind: str, query: str = "") -> list[str]:
        """Of one kind, ``warning`` or ``info``; with details, line and column where the query is given."""
        found: list[str] = []
        for (said, text, span), forced in self._said.items():
            if said != kind:
                continue
            text = f"PromQL {kind}: {text}"
            if query and span is not None:
                text += f"{forced or ''} ({position(query, span.start)})"
            found.append(text)
        return list(dict.fromkeys(found))


def _g(value: float, digits: int = 17) -> str:
    """Like Go's ``%g``; with 17 digits, only as many as are needed."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    text = f"{value:.{digits}g}" if digits < 17 else repr(value).removesuffix(".0")
    return text


class Limits(msgspec.Struct, frozen=True):
    """:param samples: how many a query may hold at once; 0: no limit."""

    samples: int = 0


class Query(msgspec.Struct, frozen=True):
    """What to evaluate, and when.

    :param start: milliseconds since the epoch; an instant query has `end` equal to it, and `step` 0.
    :param lookback: milliseconds for which an instant selector sees a sample.
    :param subquery_step: milliseconds, where a subquery names none.
    :param delayed_name_removal: whether metric names are dropped only at the end.
    :param closed_windows: whether windows include their first instant, as before Prometheus 3.
    """

    text: str
    start: int
    end: int
    step: int = 0
    lookback: int = 300_000
    subquery_step: int = 60_000
    delayed_name_removal: bool = False
    closed_windows: bool = False
    limits: Limits = Limits()


class Storage(Protocol):
    """Where the reference evaluator finds series; all of them are at hand."""

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> Sequence[Series]:
        """Series that match, sorted by labels, with the samples in `[start, end]`, milliseconds."""
        ...
