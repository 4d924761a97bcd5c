"""Label sets of many rows as columns of numbers, so that grouping and matching never touch a string."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.engine.budget import Budget
from app.engine.kernels.keys import equal_rows
from app.engine.model import Labels
from app.engine.select.model import LabelColumns

Ids = NDArray[np.int32]

FEW = 256
"""Rows up to which a loop in Python is done before numpy has begun."""
TEXT_BYTES = 150
"""That a string takes up beside its characters, in the tables of its numbers too."""
METADATA = ("__name__", "__type__", "__unit__")
"""Labels that say what a metric is; functions take them away."""


class Texts:
    """Mutable: grows as strings are met. Every string of an evaluation has one number; 0 is the empty one.

    :param budget: of the query, for strings that it makes itself.
    """

    def __init__(self, budget: Budget | None = None) -> None:
        self._texts = [""]
        self._numbers = {"": 0}
        self._budget = budget or Budget()

    def __len__(self) -> int:
        return len(self._texts)

    def number(self, text: str) -> int:
        """The number of a string, a new one if need be."""
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self._texts)
            self._texts.append(text)
        return found

    def room(self, size: int) -> None:
        """Ask before a string is made.

        :param size: characters, at most.
        :raises TooMuchMemory: the query may not have so many bytes.
        """
        self._budget.require(size)

    def made(self, text: str) -> int:
        """The number of a string that the query has made itself, which it keeps until its end.

        :raises TooMuchMemory: the query may not have so many bytes.
        """
        if text not in self._numbers:
            self._budget.take(len(text) + TEXT_BYTES)
        return self.number(text)

    def text(self, number: int) -> str:
        return self._texts[number]

    def ranks(self, ids: Ids) -> NDArray[np.int64]:
        """Numbers that order as the strings do."""
        used, inverse = np.unique(ids, return_inverse=True)
        order = sorted(range(len(used)), key=[self._texts[number] for number in used.tolist()].__getitem__)
        ranks = np.empty(len(used), np.int64)
        ranks[order] = np.arange(len(used))
        return ranks[inverse]


class Column:
    """Mutable: computed when first asked for. One label of every row; 0 where a row has none."""

    def __init__(self, make: Callable[[], Ids]) -> None:
        self._make: Callable[[], Ids] | None = make
        self._ids: Ids | None = None

    @staticmethod
    def of(ids: Ids) -> "Column":
        """What is known already."""
        return Column(lambda: ids)

    def ids(self) -> Ids:
        if self._ids is None:
            assert self._make is not None
            self._ids, self._make = self._make(), None
        return self._ids


class LabelTable:
    """The labels of the rows of a grid; immutable.

    :param columns: by label name; an absent label and an empty one are the same.
    """

    def __init__(self, texts: Texts, size: int, columns: Mapping[str, Column]) -> None:
        self.texts = texts
        self._size = size
        self._columns = {name: columns[name] for name in sorted(columns)}

    def __len__(self) -> int:
        return self._size

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._columns)

    def column(self, name: str) -> Ids:
        """(rows,) int32."""
        found = self._columns.get(name)
        return np.zeros(self._size, np.int32) if found is None else found.ids()

    def take(self, rows: NDArray[np.intp]) -> "LabelTable":
        """Some of the rows."""

        def taken(column: Column) -> Column:
            return Column(lambda: column.ids()[rows])

        return self._with(len(rows), {name: taken(column) for name, column in self._columns.items()})

    def without(self, names: Iterable[str]) -> "LabelTable":
        dropped = frozenset(names)
        kept = {name: column for name, column in self._columns.items() if name not in dropped}
        return self._with(self._size, kept)

    def keep(self, names: Iterable[str]) -> "LabelTable":
        wanted = frozenset(names)
        kept = {name: column for name, column in self._columns.items() if name in wanted}
        return self._with(self._size, kept)

    def replaced(self, name: str, ids: Ids) -> "LabelTable":
        """With another label in the place of one, or as a new one."""
        return self._with(self._size, {**self._columns, name: Column.of(ids)})

    def _with(self, size: int, columns: Mapping[str, Column]) -> "LabelTable":
        return LabelTable(self.texts, size, columns)

    def constant(self, names: Iterable[str]) -> bool:
        """Whether all rows agree on these labels, so that dropping them makes no two rows equal."""
        for name in names:
            if name in self._columns:
                ids = self.column(name)
                if len(ids) and ids.min() != ids.max():
                    return False
        return True

    def matrix(self, names: Sequence[str] | None = None) -> Ids:
        """(rows, names) int32, C-contiguous."""
        wanted = self.names if names is None else tuple(names)
        rows = np.empty((self._size, len(wanted)), np.int32)
        for place, name in enumerate(wanted):
            rows[:, place] = self.column(name)
        return rows

    def groups(self, names: Sequence[str] | None = None) -> tuple[NDArray[np.int64], int]:
        """Number the rows by some of their labels, or all of them, in order of appearance."""
        return numbered(self.matrix(names))

    def of(self, row: int) -> Labels:
        return tuple(
            (name, self.texts.text(number))
            for name, column in self._columns.items()
            if (number := int(column.ids()[row]))
        )

    def order(self) -> NDArray[np.intp]:
        """Row numbers sorted by labels: name, then value, pair by pair; a label set before its extensions."""
        keys: list[NDArray[np.int64]] = []
        later = np.zeros(self._size, np.bool_)
        for name in reversed(self.names):
            ids = self.column(name)
            there = ids != 0
            if there.all() and self._size and ids.min() == ids.max():
                later |= True
                continue
            # Whoever lacks this label goes on with a greater name, unless it has no labels left.
            keys.append(np.where(there, self.texts.ranks(ids) + 1, np.where(later, 2**40, 0)))
            later |= there
        return np.lexsort(keys) if keys else np.arange(self._size)


def numbered(rows: Ids) -> tuple[NDArray[np.int64], int]:
    """The number of each of the distinct rows, in order of appearance, and how many there are.

    :param rows: (rows, width) int32, C-contiguous.
    """
    size = len(rows)
    if rows.shape[1] == 0:
        return np.zeros(size, np.int64), min(size, 1)
    groups = np.empty(size, np.int64)
    slots = np.full(1 << max(4, (2 * size).bit_length()), -1, np.int64)
    return groups, int(equal_rows(rows, groups, slots))


def from_columns(texts: Texts, columns: LabelColumns) -> LabelTable:
    """The labels of a table as they came; each string is looked at only when its column is needed."""
    numbers = np.full(len(columns.strings) + 1, -1, np.int32)
    numbers[-1] = 0  # where -1 stands for no label

    def make(name: int) -> Ids:
        local = _local_values(columns, name)
        used = np.unique(local)
        for entry in used[numbers[used] < 0].tolist():
            numbers[entry] = texts.number(columns.strings[entry])
        return numbers[local]

    if len(columns) <= FEW:
        return _few_rows(texts, columns)
    there = np.zeros(len(columns.strings) + 1, np.bool_)
    there[columns.names] = True
    present = np.flatnonzero(there[:-1]).tolist()
    made = {columns.strings[name]: Column(partial(make, name)) for name in present}
    return LabelTable(texts, len(columns), made)


def _few_rows(texts: Texts, columns: LabelColumns) -> LabelTable:
    """Pair by pair: numpy is slow to begin with each column."""
    size, strings = len(columns), columns.strings
    made: dict[int, list[int]] = {}
    known: dict[int, int] = {}
    for row, (names, values) in enumerate(zip(columns.names.tolist(), columns.values.tolist(), strict=True)):
        for name, value in zip(names, values, strict=True):
            if name < 0:
                break  # past the last label
            found = known.get(value)
            if found is None:
                found = known[value] = texts.number(strings[value])
            column = made.get(name)
            if column is None:
                column = made[name] = [0] * size
            column[row] = found
    return LabelTable(
        texts, size, {strings[name]: Column.of(np.array(column, np.int32)) for name, column in made.items()}
    )


def _local_values(columns: LabelColumns, name: int) -> Ids:
    """(series,) int32: numbers in `columns.strings`; -1: none."""
    for place in np.flatnonzero(columns.names[0] == name).tolist():
        if (columns.names[:, place] == name).all():
            return columns.values[:, place]
    found = columns.names == name
    values = columns.values[np.arange(len(columns)), found.argmax(axis=1)]
    return np.where(found.any(axis=1), values, np.int32(-1))


def from_labels(texts: Texts, rows: Sequence[Labels]) -> LabelTable:
    """A table of a few label sets."""
    names = sorted({name for labels in rows for name, _ in labels})
    columns = {}
    for name in names:
        ids = np.array([texts.number(dict(labels).get(name, "")) for labels in rows], np.int32)
        columns[name] = Column.of(ids)
    return LabelTable(texts, len(rows), columns)
