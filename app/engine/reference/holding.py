"""What the evaluator holds while it goes from step to step, against the budget of the query; and whether the
query is still wanted, asked in every loop over elements."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from app.engine.budget import HISTOGRAM_BYTES, Budget
from app.engine.histogram.model import FloatHistogram
from app.engine.model import Labels
from app.engine.reference.elements import Instant

T = TypeVar("T")
POINT_BYTES = 110
"""That a time and a value take up as objects, in a list."""
ELEMENT_BYTES = 260
"""That an element takes up, with labels of its own."""
_POLL = 256
"""Elements between looks at the cancel flag: less than a millisecond."""


class Holding:
    """Mutable: what this step has made so far. It is let go when the step ends.

    :param check: raises where the query is to end: it was cancelled, or its time is over.
    """

    def __init__(self, budget: Budget, check: Callable[[], None]) -> None:
        self.check = check
        self._budget = budget
        self.windows = 0
        """Samples that are objects now, for the windows of one function or of several around each other."""
        self.text = 0
        """Bytes of what this step has made for its own use."""

    def polled(self, items: Iterable[T]) -> Iterator[T]:
        """The same items, with a look at the cancel flag now and then.

        :raises Cancelled: it is set.
        """
        for place, item in enumerate(items):
            if place % _POLL == 0:
                self.check()
            yield item

    # -- for this step

    def points(self, samples: int) -> None:
        """Samples that are about to be made into objects, for a window.

        :raises EvaluationError: that is more than the query may hold.
        """
        self.check()
        self.windows += samples
        self._budget.hold(samples)
        self._budget.take(samples * POINT_BYTES)

    def windows_end(self, before: int) -> None:
        """The function has its values.

        :param before: `windows`, as it was.
        """
        samples, self.windows = self.windows - before, before
        self._budget.hold(-samples)
        self._budget.give(samples * POINT_BYTES)

    def room(self, size: int) -> None:
        """Bytes that are about to be needed, for text above all.

        :raises TooMuchMemory: that is more than the query may have.
        """
        if size:
            self.text += size
            self._budget.take(size)

    def step_ends(self) -> None:
        """What was made for it is let go."""
        self._budget.give(self.text)
        self.text = 0

    # -- until the end of the query

    def kept(self, elements: Instant, before: int) -> None:
        """Of an instant of a subquery, whose neighbours want it too.

        :param before: `text`, as it was: what was made since then is kept with them.
        :raises EvaluationError: that is more than the query may hold.
        """
        self._budget.hold(len(elements))
        self._budget.take(ELEMENT_BYTES * len(elements) + _more(elements))
        self.text = before

    def result(self, elements: Instant) -> None:
        """Of one step.

        :raises EvaluationError: that is more than the query may hold.
        """
        self._budget.hold(len(elements))
        self._budget.take(POINT_BYTES * len(elements) + _more(elements))

    def numbers(self, count: int) -> None:
        """Likewise, of a scalar."""
        self._budget.hold(count)
        self._budget.take(POINT_BYTES * count)

    def labels(self, labels: Labels) -> None:
        """Of one series of the result.

        :raises TooMuchMemory: that is more than the query may have.
        """
        self._budget.take(ELEMENT_BYTES + sum(len(value) for _, value in labels))


def _more(elements: Instant) -> int:
    return HISTOGRAM_BYTES * sum(1 for each in elements if isinstance(each.value, FloatHistogram))
