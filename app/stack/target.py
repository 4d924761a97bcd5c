"""A target to scrape: requests that seem to be served, with exemplars."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics import exposition


class _Target:
    """Mutable: its metrics, moved on by each scrape."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "example_requests", "Requests that seem to be served.", ("code",), registry=self._registry
        )
        self._temperature = Gauge(
            "example_temperature_celsius", "Goes up and down.", ("replica",), registry=self._registry
        )
        self._duration = Histogram(
            "example_request_duration_seconds",
            "How long they take.",
            buckets=(0.01, 0.1, 1.0),
            registry=self._registry,
        )

    async def answer(self, _: web.BaseRequest) -> web.Response:
        chance = self._chance
        for code in ("200", "500"):
            self._requests.labels(code).inc(chance.randrange(20))
        # A label that many give as an external label too.
        self._temperature.labels("inside").set(chance.gauss(20, 5))
        self._duration.observe(chance.expovariate(10), {"trace_id": f"{chance.getrandbits(64):016x}"})
        return web.Response(
            body=exposition.generate_latest(self._registry),  # type: ignore[no-untyped-call]
            headers={"content-type": exposition.CONTENT_TYPE_LATEST},
        )


@asynccontextmanager
async def target(seed: int = 0) -> AsyncIterator[str]:
    """One that serves as long as the scope is open; ``host:port``."""
    runner = web.ServerRunner(web.Server(_Target(seed).answer), shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()
