"""Threads for kernels, which run without the interpreter's lock."""

import os
from collections.abc import Callable, Generator
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
        for _ in self.in_order(count, task):
            pass

    def in_order(self, count: int, task: Callable[[int], T]) -> Generator[T]:
        """Run tasks 0 to `count`, and hand out their results in order.

        No more than two results a thread are held at a time. The iterator must be exhausted or closed.
        """
        if self._pool is None or count < 2:
            yield from map(task, range(count))
            return
        waiting: list[Future[T]] = []
        begun = 0
        try:
            for _ in range(count):
                while begun < count and len(waiting) < 2 * self.threads:
                    waiting.append(self._pool.submit(task, begun))
                    begun += 1
                yield waiting.pop(0).result()
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
