"""What one query may hold: bytes of memory, and samples as Prometheus counts them.

Every query has a budget of its own, so that one that wants too much ends alone, and nothing has to be given
back when it ends, however it does. What is taken is taken before it is allocated.
"""

import threading
import weakref
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine.model import EvaluationError

TOO_MANY_SAMPLES = "query processing would load too many samples into memory in query execution"
STORED_HISTOGRAM_BYTES = 500
"""That a native histogram takes up as it is fetched, in columns, about."""
HISTOGRAM_BYTES = 1500
"""That a native histogram takes up as objects, about."""
SERIES_BYTES, LABEL_BYTES = 400, 70
"""That a series takes up beside its samples, and each of its labels beside its text."""
SMALLEST = 1 << 12
"""Bytes of an array below which it is not worth counting: a query makes a few of them for each node."""


class TooMuchMemory(EvaluationError):
    """The query needs more than its budget."""


class Budget:
    """Mutable: what the query holds now, changed by all of its threads.

    :param memory: bytes; 0: no limit.
    :param samples: as many at once; 0: no limit.
    """

    def __init__(self, memory: int = 0, samples: int = 0) -> None:
        self._memory = memory
        self._held = 0
        self._lock = threading.Lock()
        self._given_back: deque[int] = (
            deque()
        )  # arrays go in any thread, at any time: appending waits for nothing
        self._arrays: set[int] = set()
        self._samples = samples
        self.samples = 0
        """Held now; changed by the thread that evaluates alone."""
        self.peak_samples = 0

    @property
    def held(self) -> int:
        """Bytes."""
        with self._lock:
            self._settle()
            return self._held

    def require(self, size: int) -> None:
        """
        :param size: bytes that are about to be needed, for a short time.
        :raises TooMuchMemory: with them it is more than the query may have.
        """
        if self._memory and size > SMALLEST:
            self.take(size)
            self.give(size)

    def take(self, size: int) -> None:
        """Count bytes until `give` is called with them.

        :raises TooMuchMemory: there are not so many left; none of them are counted.
        """
        with self._lock:
            self._settle()
            if 0 < self._memory < self._held + size:
                raise TooMuchMemory(
                    f"the query needs more than {self._memory} bytes of memory (--query.max-memory):"
                    " select fewer series, a shorter time or a longer step"
                )
            self._held += size

    def give(self, size: int) -> None:
        """Give back what was taken. Waits for nothing."""
        self._given_back.append(size)

    def _settle(self) -> None:
        while self._given_back:
            self._held -= self._given_back.popleft()

    def array(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """An array with undefined content, counted as long as it, or a view of it, lives.

        :raises TooMuchMemory: there is no room for it.
        """
        size = np.dtype(dtype).itemsize
        for length in shape:
            size *= length
        if size <= SMALLEST:
            return np.empty(shape, dtype)
        self.take(size)
        try:
            made = np.empty(shape, dtype)
        except MemoryError:
            self.give(size)
            raise
        self._watch(made, size)
        return made

    def adopt(self, array: NDArray[Any]) -> None:
        """Count an array that others made, as long as it lives; once, however often it is adopted.

        :raises TooMuchMemory: there is no room for it.
        """
        while isinstance(array.base, np.ndarray):
            array = array.base
        if array.nbytes <= SMALLEST or id(array) in self._arrays:
            return
        self.take(array.nbytes)
        self._watch(array, array.nbytes)

    def _watch(self, array: NDArray[Any], size: int) -> None:
        self._arrays.add(id(array))
        weakref.finalize(array, self._gone, id(array), size).atexit = False

    def _gone(self, name: int, size: int) -> None:
        self._arrays.discard(name)
        self.give(size)

    def hold(self, samples: int) -> None:
        """Count samples; a negative number of them is let go.

        :raises EvaluationError: that is more than the query may hold at once.
        """
        self.samples += samples
        self.peak_samples = max(self.peak_samples, self.samples)
        if 0 < self._samples < self.samples:
            raise EvaluationError(TOO_MANY_SAMPLES)


class Account:
    """Mutable: how many bytes somebody holds who grows step by step.

    Nothing is to be given back at the end of a query; `close` is for one that goes on without them.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._size = 0

    def resize(self, size: int) -> None:
        """
        :param size: bytes held from now on.
        :raises TooMuchMemory: that is more than the query may have.
        """
        more = size - self._size
        if more > 0:
            self._budget.take(more)
        else:
            self._budget.give(-more)
        self._size = size

    def close(self) -> None:
        self.resize(0)
