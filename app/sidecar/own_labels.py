"""Whether series have labels of their own under names that the sidecar decides on.

Where they have, replacing such a label changes the order of the series in ways that cannot be put right while
they stream by: the answer has to be collected and sorted. It is rare, and asked for beforehand.
"""

import time
from collections.abc import Callable, Iterable

import msgspec

from app.sidecar.client import PrometheusClient
from app.sidecar.selectors import escaped_name

KNOWN_FOR = 60.0
"""Seconds that an answer of Prometheus is taken to hold."""
MAX_NAMES = 1000
"""Names that are remembered; they come from requests."""


class _Values(msgspec.Struct, frozen=True):
    data: list[str] | None = None


class OwnLabels:
    """Mutable: what Prometheus said of each name, and until when it is believed; changed by `any_of`."""

    def __init__(self, client: PrometheusClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: dict[str, tuple[bool, float]] = {}

    def forget(self) -> None:
        """It has turned out to be wrong."""
        self._known.clear()

    async def any_of(self, names: Iterable[str]) -> bool:
        """Whether any series has one of these labels.

        :raises CallError: Prometheus does not answer.
        """
        found = False
        for name in sorted(names):
            found = await self._has(name) or found
        return found

    async def _has(self, name: str) -> bool:
        now = self._clock()
        known = self._known.get(name)
        if known is not None and now < known[1]:
            return known[0]
        body = await self._client.get(f"/api/v1/label/{escaped_name(name)}/values", [("limit", "1")])
        has = bool(msgspec.json.decode(body, type=_Values).data)
        if len(self._known) >= MAX_NAMES:
            self._known.clear()
        self._known[name] = (has, now + KNOWN_FOR)
        return has
