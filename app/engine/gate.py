"""How many queries run at once, over HTTP and gRPC together; the others wait in line, and their time runs
meanwhile."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from prometheus_client import CollectorRegistry, Gauge, Histogram

from app.engine.request import QueryTimeout

_TIMED_OUT = "query timed out in query queue"


class Gate:
    """Mutable: the queries in it, which come and go by `entered`.

    :param limit: of queries at once, 1 at least.
    """

    def __init__(self, limit: int, registry: CollectorRegistry) -> None:
        self._places = anyio.Semaphore(limit)
        self._waited = Histogram(
            "thanos_query_concurrent_gate_duration_seconds",
            "How long queries waited until they could begin.",
            buckets=(0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120),
            registry=registry,
        )
        self._running = Gauge(
            "thanos_query_concurrent_gate_queries_in_flight", "Queries that run.", registry=registry
        )
        most = Gauge(
            "thanos_query_concurrent_gate_queries_max",
            "Queries that may run at once (--query.max-concurrent).",
            registry=registry,
        )
        most.set(limit)

    @asynccontextmanager
    async def entered(self, timeout: float) -> AsyncIterator[float]:
        """Wait for a place and hold it; the seconds that are left of `timeout` by then.

        :raises QueryTimeout: there are none.
        """
        begun = time.monotonic()
        if timeout <= 0:
            raise QueryTimeout(_TIMED_OUT)
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(timeout) as waiting:
                await self._places.acquire()
            if waiting.cancelled_caught:
                raise QueryTimeout(_TIMED_OUT) from None
        self._running.inc()
        try:
            waited = time.monotonic() - begun
            self._waited.observe(waited)
            yield timeout - waited
        finally:
            self._running.dec()
            self._places.release()
