"""Series in memory as the tables that the fast path reads."""

from collections.abc import Sequence

import numpy as np

from app.engine.model import Hints, Series
from app.engine.select.model import ChunkTable, LabelColumns


def table_of(series: Sequence[Series], hints: Hints) -> ChunkTable:
    """With all series decoded already."""
    texts = sorted({text for each in series for pair in each.labels for text in pair})
    numbers = {text: number for number, text in enumerate(texts)}
    width = max((len(each.labels) for each in series), default=0)
    names = np.full((len(series), width), -1, np.int32)
    values = np.full((len(series), width), -1, np.int32)
    for row, each in enumerate(series):
        for column, (name, value) in enumerate(each.labels):
            names[row, column], values[row, column] = numbers[name], numbers[value]
    none = np.zeros(0, np.int64)
    return ChunkTable(
        LabelColumns(texts, names, values),
        np.zeros(16, np.uint8),
        np.zeros(len(series) + 1, np.int64),
        np.zeros(1, np.int64),
        none,
        none,
        hints.start,
        hints.end,
        dict(enumerate(series)),
    )
