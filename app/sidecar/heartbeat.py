"""What is known of the Prometheus behind the sidecar: external labels, oldest sample, whether it is up.

The configuration of a Prometheus can change while it runs, so every heartbeat reads it again.
"""

import re
import time
from collections.abc import Callable

import anyio
import msgspec
import structlog

from app.config.model import MinTime
from app.endpoints.model import Labels
from app.errors import CallError, Code, CrossrealmError
from app.sidecar.client import PrometheusClient
from app.sidecar.external_labels import parse_external_labels
from app.sidecar.metrics import SidecarMetrics

RETRY = 2.0
"""Seconds between two attempts while Prometheus does not answer, at most the interval of the heartbeat."""
_LOWEST = re.compile(rb"^prometheus_tsdb_lowest_timestamp_seconds(?:\{[^}]*\})? (\S+)", re.MULTILINE)
_EVERYTHING = -(2**63)

log = structlog.get_logger()


class NoExternalLabels(CrossrealmError):
    """Prometheus has no external labels, so its series cannot be told from those of others."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"the Prometheus at {url} has no external labels: its series could not be told from those of"
            " another (set global.external_labels in its configuration, for example cluster and replica)"
        )


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Prometheus as the last heartbeat found it.

    :param min_time: milliseconds since the epoch of its oldest sample; -2^63: not known.
    :param version: ``2.42.0``; "" when it does not say.
    """

    external_labels: Labels
    min_time: int
    version: str


class _Build(msgspec.Struct, frozen=True):
    version: str = ""


class _BuildAnswer(msgspec.Struct, frozen=True):
    data: _Build


class Heartbeat:
    """Mutable: what the last look found, and why it failed, changed by `run` alone.

    :param interval, timeout: seconds between two looks, and of one.
    :param on_change: called when Prometheus came up or went down.
    """

    def __init__(
        self,
        client: PrometheusClient,
        *,
        interval: float,
        timeout: float,
        min_time: MinTime,
        metrics: SidecarMetrics,
        on_change: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._interval = interval
        self._timeout = timeout
        self._min_time = min_time
        self._metrics = metrics
        self._on_change = on_change
        self._clock = clock
        self._peer: Peer | None = None
        self._fault = "Prometheus has not been asked yet"
        self._now = anyio.Event()

    def up(self) -> tuple[bool, str]:
        """Whether Prometheus answered the last heartbeat; if not, why."""
        return not self._fault, self._fault

    def peer(self) -> Peer:
        """Prometheus as it was found last.

        :raises CallError: UNAVAILABLE, it does not answer.
        """
        if self._peer is None or self._fault:
            raise CallError(Code.UNAVAILABLE, self._fault)
        return self._peer

    def external_labels(self) -> Labels:
        """:raises CallError: UNAVAILABLE, Prometheus does not answer."""
        return self.peer().external_labels

    def min_time(self) -> int:
        """Milliseconds since the epoch of the oldest sample that is served."""
        return max(self.peer().min_time, self._min_time.milliseconds(self._clock()))

    def look_now(self) -> None:
        """Do not wait for the next turn (SIGHUP)."""
        self._now.set()

    async def run(self) -> None:
        """Look until cancelled.

        :raises NoExternalLabels: at the first answer; a running sidecar whose Prometheus loses them is not
            ready until it has them again.
        """
        while True:
            self._now = anyio.Event()
            try:
                self._found(await self._look())
            except NoExternalLabels as error:
                if self._peer is None:
                    raise
                self._failed(str(error))
            except CallError as error:
                self._failed(error.message)
            pause = min(RETRY, self._interval) if self._fault else self._interval
            with anyio.move_on_after(pause):
                await self._now.wait()

    async def _look(self) -> Peer:
        try:
            with anyio.fail_after(self._timeout):
                version = await self._version()
                min_time = await self._oldest()
                try:
                    labels = parse_external_labels(await self._client.get("/api/v1/status/config"))
                except ValueError as error:
                    raise CallError(Code.INTERNAL, f"Prometheus at {self._client.shown}: {error}") from None
        except TimeoutError:
            raise CallError(
                Code.DEADLINE_EXCEEDED,
                f"Prometheus at {self._client.shown} did not answer within {self._timeout:g} s",
            ) from None
        if not labels:
            raise NoExternalLabels(self._client.shown)
        return Peer(external_labels=labels, min_time=min_time, version=version)

    async def _version(self) -> str:
        try:
            body = await self._client.get("/api/v1/status/buildinfo")
            return msgspec.json.decode(body, type=_BuildAnswer).data.version
        except msgspec.DecodeError:
            return ""
        except CallError as error:
            if error.code is Code.NOT_FOUND:  # before 2.14
                return ""
            raise

    async def _oldest(self) -> int:
        """What a querier above leaves this endpoint out by, where it asks for older times only."""
        match = _LOWEST.search(await self._client.get("/metrics"))
        try:
            seconds = float(match[1]) if match else float("nan")
        except ValueError:
            seconds = float("nan")
        # An empty head has the largest number there is, in milliseconds, as its oldest time.
        known = -(2**62) < seconds * 1000 < 2**62
        return int(seconds * 1000) if known else _EVERYTHING

    def _found(self, peer: Peer) -> None:
        before = self._peer
        self._metrics.up.set(1)
        self._metrics.last_heartbeat.set(self._clock())
        self._peer = peer
        if before is None or before.external_labels != peer.external_labels:
            shown = ", ".join(f'{name}="{value}"' for name, value in peer.external_labels)
            log.info("external labels of Prometheus", external_labels=f"{{{shown}}}", version=peer.version)
        if self._fault:
            self._fault = ""
            log.info("Prometheus answers", url=self._client.shown)
            self._on_change()

    def _failed(self, reason: str) -> None:
        self._metrics.up.set(0)
        if self._fault != reason:
            log.warning("Prometheus does not answer", url=self._client.shown, err=reason)
        was_up = not self._fault
        self._fault = reason
        if was_up:
            self._on_change()
