"""How late the event loop runs: the first thing to look at when calls are slow and endpoints are not."""

import anyio
from prometheus_client import CollectorRegistry, Histogram

INTERVAL = 0.1
"""Seconds between two looks."""


class LoopLag:
    """Mutable: its histogram, fed by `run` alone."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lag = Histogram(
            "crossrealm_event_loop_lag_seconds",
            "How much later than asked for the event loop woke a sleeping task.",
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0),
            registry=registry,
        )

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due = anyio.current_time() + INTERVAL
            await anyio.sleep_until(due)
            self._lag.observe(max(0.0, anyio.current_time() - due))
