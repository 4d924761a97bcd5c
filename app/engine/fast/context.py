"""What all parts of one evaluation share."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from app.engine.cancelling import Cancelled
from app.engine.fast.labels import Texts
from app.engine.fast.workers import Workers
from app.engine.model import Annotations, EvaluationError, Query
from app.engine.select.model import ChunkTable

TOO_MANY_SAMPLES = "query processing would load too many samples into memory in query execution"


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
    ) -> None:
        self.query = query
        self.tables = tables
        self.cancel = cancel
        self.annotations = annotations
        self.workers = workers
        self.texts = Texts()

    def check(self) -> None:
        """
        :raises Cancelled: somebody set the flag; what kernels left behind is then undefined.
        """
        if self.cancel[0]:
            raise Cancelled

    def charge(self, samples: int) -> None:
        """
        :raises EvaluationError: so many samples are more than the query may hold at once.
        """
        if 0 < self.query.limits.samples < samples:
            raise EvaluationError(TOO_MANY_SAMPLES)
