"""What all parts of one evaluation share: data, threads, its budget, and whether it is still wanted."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine.budget import Budget
from app.engine.cancelling import Cancelled
from app.engine.fast.labels import Texts
from app.engine.fast.workers import Workers
from app.engine.model import Annotations, Query
from app.engine.select.model import ChunkTable

BLOCK_POINTS = 1 << 17
"""Of what a task does without a look at the cancel flag: a millisecond's work, and a megabyte, which stays in
the cache."""

Task = Callable[[slice, slice], None]


class NotServed(Exception):
    """The data is not for the fast path: the caller evaluates the query again, on the reference path."""


class Context:
    """Mutable: annotations and strings are added to while the query is evaluated, by its own thread alone.

    :param cancel: (1,) uint8; another thread sets it to stop the evaluation.
    """

    def __init__(
        self,
        query: Query,
        tables: Mapping[int, ChunkTable],
        cancel: NDArray[np.uint8],
        annotations: Annotations,
        workers: Workers,
        budget: Budget,
    ) -> None:
        self.query = query
        self.tables = tables
        self.cancel = cancel
        self.annotations = annotations
        self.workers = workers
        self.budget = budget
        self.texts = Texts(budget)

    def check(self) -> None:
        """
        :raises Cancelled: somebody set the flag; what kernels left behind is then undefined.
        """
        if self.cancel[0]:
            raise Cancelled

    # -- arrays, which count as long as they live

    def values(self, rows: int, steps: int) -> NDArray[np.float64]:
        """(rows, steps) float64, undefined.

        :raises TooMuchMemory: there is no room for it.
        """
        return self.budget.array((rows, steps), np.float64)

    def flags(self, rows: int, steps: int) -> NDArray[np.bool_]:
        """(rows, steps) bool, undefined.

        :raises TooMuchMemory: there is no room for it.
        """
        return self.budget.array((rows, steps), np.bool_)

    def no_flags(self, rows: int, steps: int) -> NDArray[np.bool_]:
        """Likewise, all false."""
        made = self.flags(rows, steps)
        made.fill(False)
        return made

    # -- work on whole arrays, in blocks

    def each_block(self, rows: int, steps: int, task: Task) -> None:
        """Cut `(rows, steps)` into blocks, and give each to a thread.

        :raises Cancelled: the flag was set; what is left of the work is not begun.
        """
        if rows * steps <= BLOCK_POINTS:
            task(slice(0, rows), slice(0, steps))
            return
        wide = min(steps, BLOCK_POINTS)
        high = max(1, BLOCK_POINTS // wide)
        across = -(-steps // wide)

        def block(number: int) -> None:
            if not self.cancel[0]:
                row, step = number // across * high, number % across * wide
                task(slice(row, min(rows, row + high)), slice(step, min(steps, step + wide)))

        self.workers.each(-(-rows // high) * across, block)
        self.check()

    def filled(self, out: NDArray[Any], function: Callable[..., Any], *inputs: NDArray[Any]) -> NDArray[Any]:
        """A function of each point, block by block; infinities and NaN instead of warnings.

        :param out: (rows, steps), written.
        :param function: if it is a ufunc, it writes to its place at once.
        :param inputs: (rows, steps) or (steps,).
        """
        at_once = isinstance(function, np.ufunc)

        def task(rows: slice, steps: slice) -> None:
            parts = [each[rows, steps] if each.ndim == 2 else each[steps] for each in inputs]
            with np.errstate(all="ignore"):
                if at_once:
                    function(*parts, out=out[rows, steps])
                else:
                    out[rows, steps] = function(*parts)

        self.each_block(out.shape[0], out.shape[1], task)
        return out

    def mapped(self, function: Callable[..., Any], *inputs: NDArray[Any]) -> NDArray[np.float64]:
        """A float of each point of whichever of `inputs` has rows; see `filled`."""
        rows, steps = max((each.shape for each in inputs), key=len)
        return self.filled(self.values(rows, steps), function, *inputs)

    def taken(self, array: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[Any]:
        """Some rows of a (rows, steps) array, in the order given."""
        out = self.budget.array((len(rows), array.shape[1]), array.dtype)

        def task(part: slice, steps: slice) -> None:
            out[part, steps] = array[rows[part], steps]

        self.each_block(out.shape[0], out.shape[1], task)
        return out
