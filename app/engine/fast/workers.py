"""Threads for kernels, which run without the interpreter's lock."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")


class Workers:
    """A pool of threads; with one thread, the caller does the work.

    What a task computes must depend on its number alone: which thread takes it, and when, is open.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, "engine") if threads > 1 else None

    def each(self, count: int, task: Callable[[int], None]) -> None:
        """Run tasks 0 to `count` in any order, and wait for all of them."""
        self.in_order(count, task, lambda _number, _result: None)

    def in_order(self, count: int, task: Callable[[int], T], take: Callable[[int, T], None]) -> None:
        """Run tasks 0 to `count`; the caller takes their results one by one, in order.

        No more than two results a thread are held at a time.
        """
        if self._pool is None or count < 2:
            for number in range(count):
                take(number, task(number))
            return
        waiting: list[Future[T]] = []
        begun = 0
        try:
            for number in range(count):
                while begun < count and len(waiting) < 2 * self.threads:
                    waiting.append(self._pool.submit(task, begun))
                    begun += 1
                take(number, waiting.pop(0).result())
        finally:
            for left in waiting:  # they write to memory that the caller is about to give up
                left.cancel() or left.exception()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


@lru_cache
def shared() -> Workers:
    """One pool for the process."""
    return Workers(max(2, len(os.sched_getaffinity(0))))
