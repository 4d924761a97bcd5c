"""Series that are at hand."""

from collections.abc import Sequence

from app.engine.model import Series
from app.engine.prepare import selects
from app.engine.promql.ast import Matcher


class Stored:
    """A `Storage` of a few series."""

    def __init__(self, series: Sequence[Series]) -> None:
        self._series = sorted(series, key=lambda each: each.labels)

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> Sequence[Series]:
        found = []
        for each in self._series:
            if selects(matchers, dict(each.labels)):
                chosen = (each.times >= start) & (each.times <= end)
                found.append(Series(each.labels, each.times[chosen], each.values[chosen]))
        return [each for each in found if len(each.times)]
