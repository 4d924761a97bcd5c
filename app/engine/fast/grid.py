"""An instant vector at all steps at once."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.fast.context import Context
from app.engine.fast.labels import METADATA, LabelTable
from app.engine.model import EvaluationError

Values = NDArray[np.float64]
Present = NDArray[np.bool_]
Times = NDArray[np.int64]

SAME_LABELS = "vector cannot contain metrics with the same labelset"


class Steps(msgspec.Struct, frozen=True):
    """When an expression is evaluated.

    :param start: milliseconds since the epoch.
    :param step: milliseconds; of no meaning where `count` is 1.
    """

    start: int
    step: int
    count: int

    @property
    def times(self) -> Times:
        """(steps,) int64, milliseconds."""
        return self.start + self.step * np.arange(self.count, dtype=np.int64)

    @property
    def end(self) -> int:
        return self.start + self.step * (self.count - 1)

    def once(self) -> "Steps":
        """The first of them alone."""
        return Steps(self.start, self.step, 1)


class Grid(msgspec.Struct, frozen=True):
    """Absent, NaN and stale are three things: stale samples are absent, and NaN is a value.

    :param values: (series, steps) float64, undefined where nothing is `present`.
    :param present: (series, steps) bool.
    """

    labels: LabelTable
    values: Values
    present: Present
    steps: Steps

    def __len__(self) -> int:
        return len(self.labels)

    def held(self) -> int:
        """Samples, as a limit of them counts."""
        return int(np.count_nonzero(self.present))

    def take(self, context: Context, rows: NDArray[np.intp]) -> "Grid":
        """Some of the rows, in the order given."""
        values, present = (context.taken(each, rows) for each in (self.values, self.present))
        return Grid(self.labels.take(rows), values, present, self.steps)

    def filled(self) -> NDArray[np.bool_]:
        """(series,) bool: whether a row has a value at any step."""
        return np.asarray(self.present.any(axis=1))

    def compact(self, context: Context) -> "Grid":
        """Without rows that have nothing at any step."""
        filled = self.filled()
        return self if filled.all() else self.take(context, np.flatnonzero(filled))

    def broadcast(self, context: Context, steps: Steps) -> "Grid":
        """What holds at one step, at all."""
        if self.steps.count == steps.count:
            return msgspec.structs.replace(self, steps=steps)
        shape = (len(self), steps.count)
        values, present = context.values(*shape), context.flags(*shape)

        def task(rows: slice, columns: slice) -> None:
            values[rows, columns], present[rows, columns] = self.values[rows], self.present[rows]

        context.each_block(*shape, task)
        return Grid(self.labels, values, present, steps)

    def with_values(self, values: Values, present: Present | None = None) -> "Grid":
        return Grid(self.labels, values, self.present if present is None else present, self.steps)

    def with_labels(self, labels: LabelTable) -> "Grid":
        return Grid(labels, self.values, self.present, self.steps)

    def nameless(self, context: Context) -> "Grid":
        """Without the metric's name; rows that become equal are one, unless both have a value at a step.

        :raises EvaluationError: they do.
        """
        unique = self.labels.constant(METADATA)
        grid = self.with_labels(self.labels.without(METADATA))
        return grid if unique else grid.merged(context)

    def merged(self, context: Context) -> "Grid":
        """Rows with equal labels as one.

        :raises EvaluationError: two of them have a value at the same step.
        """
        groups, count = self.labels.groups()
        if count == len(self):
            return self
        first = np.full(count, len(self), np.intp)
        np.minimum.at(first, groups, np.arange(len(self)))
        values, present = context.taken(self.values, first), context.taken(self.present, first)
        for row in np.setdiff1d(np.arange(len(self)), first):
            context.check()
            here, group = self.present[row], groups[row]
            if (present[group] & here).any():
                raise EvaluationError(SAME_LABELS)
            values[group] = np.where(here, self.values[row], values[group])
            present[group] |= here
        return Grid(self.labels.take(first), values, present, self.steps)


class Numbers(msgspec.Struct, frozen=True):
    """A scalar at all steps.

    :param values: (steps,) float64.
    """

    values: Values

    def held(self) -> int:
        """Samples, as a limit of them counts."""
        return len(self.values)


def empty(labels: LabelTable, steps: Steps) -> Grid:
    """No rows; of `labels` only the strings are taken."""
    none = np.zeros((0, steps.count))
    return Grid(LabelTable(labels.texts, 0, {}), none, none.astype(np.bool_), steps)
