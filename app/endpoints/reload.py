"""The endpoints file, followed: what it says is checked as a whole, then applied or refused.

A file that changed is applied when it has stayed the same for `SETTLED_AFTER`, since one that is being
written may parse at every moment: cut off, it would lose endpoints, or their TLS. One that is at fault is
refused when it has stayed so for `REFUSED_AFTER`. Whoever asks for a reload says that the file is finished,
and gets the outcome at once.
"""

import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from app.config.endpoints_source import parse_endpoints
from app.config.model import EndpointGroup, EndpointsConfig, EndpointsSource
from app.config.yaml_file import read_config
from app.discovery.watcher import DirectoryWatcher, Place, watchable
from app.endpoints.reconcile import Plan
from app.errors import ConfigError, Problem
from app.tls.cache import watched_places

SETTLED_AFTER = 1.0
REFUSED_AFTER = 3.0
MATERIAL_RETRY = 5.0
"""Seconds until a file is tried again whose certificates could not be used."""
READ_LIMIT = 10.0
"""Seconds that reading the file may take: a file system may hang."""
LOGGED = 50
"""Faults that are logged one by one."""

log = structlog.get_logger()


class ReloadMetrics:
    """Mutable: instruments, fed by the reload alone."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.successful = Gauge(
            "crossrealm_endpoints_config_last_reload_successful",
            "1 when the endpoints file is in force as it is, 0 while it is refused and the last good is.",
            registry=registry,
        )
        self.timestamp = Gauge(
            "crossrealm_endpoints_config_last_reload_success_timestamp_seconds",
            "When the endpoints file was last read and put in force.",
            registry=registry,
        )
        self.reloads = Counter(
            "crossrealm_endpoints_config_reloads_total",
            "Readings of the endpoints file after the start, by whether it was put in force or refused.",
            ("result",),
            registry=registry,
        )
        for result in ("success", "failure"):
            self.reloads.labels(result)


class Reading(msgspec.Struct, frozen=True):
    """The file at one moment.

    :param digest: equal means equal content, or the same reason why there is none.
    :param places: where a change may give it another content.
    """

    digest: str
    content: bytes = b""
    fault: tuple[Problem, ...] = ()
    places: frozenset[Place] = frozenset()


class Staying:
    """Mutable: the content seen last, and since when, changed by `age`. Pure."""

    def __init__(self) -> None:
        self._digest = ""
        self._since = 0.0

    def age(self, digest: str, now: float) -> float:
        """Seconds that the content has been seen to stay the same."""
        if digest != self._digest:
            self._digest, self._since = digest, now
        return now - self._since


class EndpointsReload:
    """Mutable: what was read last and what became of it, changed by `run` and `reload`, one at a time.

    :param source: with a file.
    :param groups: what is in force at the start, from that file.
    :param interval: seconds between two looks, beside the watcher's.
    :param check: what forbids to put groups in force whose TLS is new.
    :param apply: puts groups in force.
    :param clock: seconds since the epoch.
    """

    def __init__(
        self,
        source: EndpointsSource,
        groups: Sequence[EndpointGroup],
        *,
        interval: float,
        check: Callable[[Sequence[EndpointGroup]], Awaitable[Sequence[Problem]]],
        apply: Callable[[Sequence[EndpointGroup]], Plan],
        watcher: DirectoryWatcher,
        metrics: ReloadMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._groups = tuple(groups)
        self._interval = interval
        self._check = check
        self._apply = apply
        self._watcher = watcher
        self._metrics = metrics
        self._clock = clock
        self._lock = anyio.Lock()
        self._wake = anyio.Event()
        self._staying = Staying()
        self._judged = ""
        self._problems: tuple[Problem, ...] = ()
        self._in_thread = False
        self._thread = anyio.CapacityLimiter(1)
        self._metrics.successful.set(1)
        self._metrics.timestamp.set(clock())

    async def run(self) -> None:
        """Follow the file until cancelled."""
        subscription = self._watcher.subscribe(self._look_soon)
        try:
            while True:
                self._wake = anyio.Event()
                async with self._lock:
                    reading = await self._read()
                    subscription.follow(reading.places)
                    try:
                        delay = await self._look(reading)
                    except Exception:  # what is in force goes on
                        log.exception("looking at the endpoints file failed", file=self._source.path)
                        delay = self._interval
                with anyio.move_on_after(delay):
                    await self._wake.wait()
        finally:
            subscription.close()

    def _look_soon(self) -> None:
        self._wake.set()

    async def reload(self, trigger: str) -> None:
        """Read the file now and put it in force.

        :param trigger: who asks, for the log.
        :raises ConfigError: with all that is wrong; what was in force stays.
        """
        async with self._lock:
            reading = await self._read()
            self._judged = reading.digest
            try:
                config = await self._parse(reading)
                await self._check_new(config)
            except ConfigError as error:
                self._refuse(error.problems, trigger)
                self._look_soon()
                raise
            self._accept(config, trigger)

    async def _look(self, reading: Reading) -> float:
        """Judge what was read, if it has settled; seconds until the next look."""
        age = self._staying.age(reading.digest, anyio.current_time())
        if reading.digest == self._judged:
            return self._interval
        if age < SETTLED_AFTER:
            return SETTLED_AFTER - age
        try:
            config = await self._parse(reading)
        except ConfigError as error:
            if age < REFUSED_AFTER:
                return REFUSED_AFTER - age
            self._judged = reading.digest
            self._refuse(error.problems, "changed")
            return self._interval
        if config.groups == self._groups and not self._problems:
            self._judged = reading.digest
            return self._interval
        try:
            await self._check_new(config)
        except ConfigError as error:
            if error.problems != self._problems:
                self._refuse(error.problems, "changed")
            return min(MATERIAL_RETRY, self._interval)
        self._judged = reading.digest
        self._accept(config, "changed")
        return self._interval

    # -- reading

    async def _read(self) -> Reading:
        if not self._in_thread:  # or else a file system that hangs would take one thread after the other
            with anyio.move_on_after(READ_LIMIT):
                return await anyio.to_thread.run_sync(
                    self._read_now, abandon_on_cancel=True, limiter=self._thread
                )
        fault = Problem(self._source.path, f"reading it takes longer than {READ_LIMIT:g} s")
        return Reading("hangs", fault=(fault,))

    def _read_now(self) -> Reading:
        """In a thread."""
        path = self._source.path
        self._in_thread = True
        try:
            places = watched_places({path, os.path.realpath(path)})
            above = watchable(os.path.dirname(os.path.abspath(path)))
            places |= {above} if above is not None else set()
            try:
                content = read_config(Path(path))
            except ConfigError as error:
                return Reading(str(error), fault=error.problems, places=places)
            return Reading(hashlib.sha256(content).hexdigest(), content, places=places)
        finally:
            self._in_thread = False

    async def _parse(self, reading: Reading) -> EndpointsConfig:
        if reading.fault:
            raise ConfigError(reading.fault)
        # In a thread: a thousand groups take a tenth of a second.
        return await anyio.to_thread.run_sync(partial(parse_endpoints, self._source, reading.content))

    async def _check_new(self, config: EndpointsConfig) -> None:
        # What is refused here is not judged for good: the files may come in a moment; in Kubernetes a Secret
        # appears when it likes.
        judged, self._judged = self._judged, ""
        known = {None, *(group.tls for group in self._groups)}
        problems = await self._check([group for group in config.groups if group.tls not in known])
        if problems:
            raise ConfigError(problems)
        self._judged = judged

    # -- outcomes

    def _accept(self, config: EndpointsConfig, trigger: str) -> None:
        plan = self._apply(config.groups)
        self._groups, self._problems = config.groups, ()
        self._metrics.successful.set(1)
        self._metrics.timestamp.set(self._clock())
        self._metrics.reloads.labels("success").inc()
        log.info(
            "endpoints file reloaded",
            file=self._source.path,
            trigger=trigger,
            groups=len(config.groups),
            started=", ".join(group.name for group in plan.started),
            stopped=", ".join(plan.stopped),
        )
        for warning in config.warnings:
            log.warning(warning)

    def _refuse(self, problems: Sequence[Problem], trigger: str) -> None:
        self._problems = tuple(problems)
        self._metrics.successful.set(0)
        self._metrics.reloads.labels("failure").inc()
        log.error(
            "endpoints file refused; what was in force goes on",
            file=self._source.path,
            trigger=trigger,
            faults=len(problems),
        )
        for problem in problems[:LOGGED]:
            log.error("fault of the endpoints file", err=str(problem))
