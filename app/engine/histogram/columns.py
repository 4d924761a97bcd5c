"""The histograms of one series in columns; objects of them are made when somebody asks for one."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.histogram.model import FloatHistogram, ResetHint

HINTS = (ResetHint.UNKNOWN, ResetHint.RESET, ResetHint.NOT_RESET, ResetHint.GAUGE)
"""By their numbers in columns, which are those of Prometheus's protobuf messages and of its chunks."""
_KEPT = 1024
"""Objects that are kept, since windows of neighbouring steps share most of their samples."""


class Layout(msgspec.Struct, frozen=True):
    """What histograms have in common.

    :param positive: the indexes of the buckets, rising; one can be empty.
    """

    schema: int
    zero_threshold: float
    positive: tuple[int, ...]
    negative: tuple[int, ...]
    custom_values: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """How many buckets there are."""
        return len(self.positive) + len(self.negative)


class Columns(msgspec.Struct, frozen=True):
    """Histograms by number.

    :param layout: (histograms,) int64, numbers of `layouts`.
    :param hint: (histograms,) int64, numbers of `HINTS`.
    :param first: (histograms,) int64, where the buckets begin in `buckets`, positive ones first.
    :param numbers: (histograms, 3) float64: count, sum, and count of the zero bucket.
    """

    layouts: tuple[Layout, ...]
    layout: NDArray[np.int64]
    hint: NDArray[np.int64]
    first: NDArray[np.int64]
    numbers: NDArray[np.float64]
    buckets: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.layout)

    def histogram(self, number: int) -> FloatHistogram:
        """One of them as an object."""
        layout = self.layouts[self.layout[number]]
        first = int(self.first[number])
        counts = self.buckets[first : first + layout.width].tolist()
        count, total, zero_count = self.numbers[number].tolist()
        positive = len(layout.positive)
        return FloatHistogram(
            schema=layout.schema,
            zero_threshold=layout.zero_threshold,
            zero_count=zero_count,
            count=count,
            sum=total,
            positive=_populated(layout.positive, counts[:positive]),
            negative=_populated(layout.negative, counts[positive:]),
            custom_values=layout.custom_values,
            reset_hint=HINTS[self.hint[number]],
        )

    def beside(self, other: "Columns") -> "Columns":
        """These, and behind them others."""
        known = {layout: number for number, layout in enumerate(self.layouts)}
        numbers = [known.setdefault(layout, len(known)) for layout in other.layouts]
        return Columns(
            tuple(known),
            np.concatenate([self.layout, np.array(numbers, np.int64)[other.layout]]),
            np.concatenate([self.hint, other.hint]),
            np.concatenate([self.first, other.first + len(self.buckets)]),
            np.concatenate([self.numbers, other.numbers]),
            np.concatenate([self.buckets, other.buckets]),
        )


def _populated(indexes: Sequence[int], counts: Sequence[float]) -> dict[int, float]:
    return {index: count for index, count in zip(indexes, counts, strict=True) if count != 0}


def columns_of(histograms: Sequence[FloatHistogram]) -> Columns:
    """What was objects."""
    known: dict[Layout, int] = {}
    layout, numbers, widths, buckets = [], [], [0], list[float]()
    for h in histograms:
        positive, negative = tuple(sorted(h.positive)), tuple(sorted(h.negative))
        own = Layout(h.schema, h.zero_threshold, positive, negative, h.custom_values)
        layout.append(known.setdefault(own, len(known)))
        numbers.append((h.count, h.sum, h.zero_count))
        buckets += [h.positive[index] for index in positive]
        buckets += [h.negative[index] for index in negative]
        widths.append(own.width)
    return Columns(
        tuple(known),
        np.array(layout, np.int64),
        np.array([HINTS.index(h.reset_hint) for h in histograms], np.int64),
        np.cumsum(widths)[:-1].astype(np.int64),
        np.array(numbers, np.float64).reshape(len(numbers), 3),
        np.array(buckets, np.float64),
    )


class HistogramColumns(Mapping[int, FloatHistogram]):
    """The histograms among the samples of a series, by position. Mutable: it remembers some objects.

    :param rows: (samples,) int64, the number of each sample's histogram; negative: it has none.
    :param kept: how many.
    """

    def __init__(self, rows: NDArray[np.int64], columns: Columns, *, kept: int = _KEPT) -> None:
        self.rows = rows
        self.columns = columns
        self._most = kept
        self._kept: dict[int, FloatHistogram] = {}

    @staticmethod
    def of(histograms: Mapping[int, FloatHistogram], samples: int) -> "HistogramColumns":
        """What is in columns already, or objects by position among so many samples."""
        if isinstance(histograms, HistogramColumns):
            return histograms
        rows = np.full(samples, -1, np.int64)
        rows[list(histograms)] = np.arange(len(histograms))
        return HistogramColumns(rows, columns_of(list(histograms.values())))

    def __getitem__(self, place: int) -> FloatHistogram:
        found = self._kept.get(place)
        if found is not None:
            return found
        if not 0 <= place < len(self.rows) or self.rows[place] < 0:
            raise KeyError(place)
        made = self.columns.histogram(int(self.rows[place]))
        if len(self._kept) >= self._most:
            self._kept.clear()
        if self._most:
            self._kept[place] = made
        return made

    def __iter__(self) -> Iterator[int]:
        places: list[int] = np.flatnonzero(self.rows >= 0).tolist()
        return iter(places)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.rows >= 0))
