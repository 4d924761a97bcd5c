"""All endpoint groups: one task each, kept running, and the snapshots that requests lease."""

import math
import time
from collections.abc import Callable, Sequence

import anyio
import anyio.abc
import msgspec
import structlog

from app.config.model import EndpointGroup
from app.discovery.dns import Lookups
from app.discovery.watcher import DirectoryWatcher
from app.endpoints.endpoint import Endpoint
from app.endpoints.environment import Certificates, ChannelFactory, Environment
from app.endpoints.group import Displaced, Group
from app.endpoints.leases import SnapshotLease
from app.endpoints.membership import Duplicate, assign
from app.endpoints.metrics import EndpointMetrics, external_labels_text
from app.endpoints.model import EndpointView, Snapshot, State
from app.endpoints.producers import Producers
from app.endpoints.reconcile import Plan, reconcile
from app.endpoints.schedule import RestartBackoff, Stagger
from app.endpoints.settings import EndpointSettings
from app.endpoints.snapshots import Snapshots
from app.endpoints.state import EndpointState

DISPLACED_LIMIT = 10.0
"""Seconds that an endpoint which no group names any more serves on after a change of the groups, while their
discovery may still find it."""

log = structlog.get_logger()


class Endpoints:
    """Mutable: the groups, changed by `reconcile` alone; which addresses each has, and which endpoints have
    lost their place, changed by `reconcile` and `run`.

    :param clock: seconds since the epoch.
    :param lookups: of names in DNS; None: as the system does them.
    """

    def __init__(
        self,
        *,
        settings: EndpointSettings,
        certificates: Certificates,
        channel_factory: ChannelFactory,
        metrics: EndpointMetrics,
        clock: Callable[[], float] = time.time,
        lookups: Lookups | None = None,
    ) -> None:
        self._groups: list[Group] = []
        self._displaced: Displaced = {}
        self._displaced_until = -math.inf
        self._snapshots = Snapshots(self._views)
        self._environment = Environment(
            settings=settings,
            certificates=certificates,
            channel_factory=channel_factory,
            metrics=metrics,
            clock=clock,
            snapshots=self._snapshots,
            stagger=Stagger(settings.info_interval),
            watcher=DirectoryWatcher(),
            lookup=(lookups or Lookups()).look_up,
        )
        self._producers = Producers()
        self._duplicates: frozenset[Duplicate] = frozenset()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._attention = anyio.Event()
        self._claims_changed = False
        self._first_round = anyio.Event()
        metrics.show(self.snapshot)

    async def run(
        self,
        groups: Sequence[EndpointGroup],
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run `groups` until cancelled. Cancelled, it waits for the leases and closes all channels, within
        `close_grace`. Reports started when every group is listed."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                tasks.start_soon(self._environment.watcher.run)
                self.reconcile(groups)
                task_status.started()
                while True:
                    self._attention = anyio.Event()
                    self._assign()
                    self._drop_displaced()
                    self._look_at_first_round()
                    with anyio.move_on_at(self._displaced_until if self._displaced else math.inf):
                        await self._attention.wait()
            finally:
                self._tasks = None

    def reconcile(self, groups: Sequence[EndpointGroup]) -> Plan:
        """Make these the groups. What stays the same keeps its connections; an endpoint whose TLS changes, or
        that goes to another group, is asked over its old connection until the new one has been tried.

        :returns: what was done.
        :raises RuntimeError: `run` is not running.
        """
        if self._tasks is None:
            raise RuntimeError("endpoint groups can be changed while they run only")
        running = {group.name: group for group in self._groups}
        plan = reconcile({name: group.config for name, group in running.items()}, groups)
        by_name = {config.name: running[name] for name, config in plan.kept}
        for name, config in plan.kept:
            running[name].update(config)
        started = [self._make(config) for config in plan.started]
        by_name.update((group.name, group) for group in started)
        for name in plan.stopped:
            log.info("group stops", group=name)
            self._displaced.update(running[name].release(frozenset()))
        self._groups = [by_name[config.name] for config in groups]
        self._displaced_until = anyio.current_time() + DISPLACED_LIMIT
        self._claims_changed = True
        self._assign()
        self._drop_displaced()
        self._snapshots.changed()
        for name in plan.stopped:
            running[name].retire()
        for group in started:
            log.info("group starts", group=group.name)
            self._tasks.start_soon(self._keep_running, group)
        self._attention.set()
        return plan

    def lease(self) -> SnapshotLease:
        """The endpoints now, for one request. To be used as a context manager: channels of endpoints that
        are removed meanwhile stay open until it is left."""
        return self._snapshots.lease()

    def snapshot(self) -> Snapshot:
        """The endpoints now with the times of their last checks, for people; not for calls."""
        named = (view for group in self._groups for view in group.views_now())
        return Snapshot((*named, *(endpoint.view_now() for endpoint in self._displaced.values())))

    async def wait_first_round(self) -> None:
        """Wait until discovery of every group has looked and every endpoint has answered or failed once. It
        has no time limit of its own."""
        await self._first_round.wait()

    @property
    def running(self) -> bool:
        """Whether the groups can be changed."""
        return self._tasks is not None

    @property
    def watcher(self) -> DirectoryWatcher:
        """Of the files of discovery; others may subscribe too."""
        return self._environment.watcher

    @property
    def first_round_over(self) -> bool:
        """Whether `wait_first_round` would return at once."""
        return self._first_round.is_set()

    def discovery_failed(self) -> Sequence[str]:
        """Why addresses could not be found: files of file SD that were never read."""
        return tuple(failure for group in self._groups for failure in group.discovery_failures())

    def request_refresh(self) -> None:
        """Read all files of file SD again, changed or not (SIGHUP)."""
        for group in self._groups:
            group.refresh()

    def _views(self) -> tuple[EndpointView, ...]:
        named = (view for group in self._groups for view in group.views())
        return (*named, *(endpoint.view() for endpoint in self._displaced.values()))

    def _make(self, config: EndpointGroup) -> Group:
        return Group(config, self._environment, on_claims=self._on_claims, on_change=self._on_endpoint_change)

    async def _keep_running(self, group: Group) -> None:
        """Run a group until it is retired; a crash is its own affair."""
        backoff = RestartBackoff()
        while True:
            started = anyio.current_time()
            try:
                await group.run()
                return
            except Exception as error:
                delay = backoff.delay(anyio.current_time() - started)
                self._report_crash(group, error, delay)
            with anyio.move_on_after(delay):
                await group.retirement()
                return

    def _report_crash(self, group: Group, error: Exception, delay: float) -> None:
        self._environment.metrics.restarts.labels(group.name).inc()
        reason = f"the endpoint group crashed and is restarted: {_innermost(error)}"
        log.error("group crashed", group=group.name, reason=reason, restart_in=delay, exc_info=error)
        group.interrupt(reason)
        self._attention.set()

    def _on_claims(self) -> None:
        self._claims_changed = True
        self._attention.set()

    def _on_endpoint_change(self, endpoint: Endpoint, before: EndpointState) -> None:
        self._snapshots.changed()
        self._note_producer(endpoint)
        if before.state is State.NEW and not self._first_round.is_set():
            self._attention.set()

    def _note_producer(self, endpoint: Endpoint) -> None:
        view = endpoint.view()
        others = self._producers.update(view.address, view.info if view.asked else None)
        if others and view.info is not None:
            log.warning(
                "several sidecars or rulers have the same external labels; their blocks would be mixed up in "
                "one bucket",
                group=view.group,
                endpoint=view.address,
                external_labels=external_labels_text(view.info.label_sets),
                others=", ".join(others[:10]),
            )

    def _assign(self) -> None:
        """Give the addresses that the groups name to one group each."""
        if not self._claims_changed:
            return
        self._claims_changed = False
        assignment = assign([group.claims() for group in self._groups])
        for group, addresses in zip(self._groups, assignment.addresses, strict=True):
            self._displaced.update(group.release(frozenset(addresses)))
        for group, addresses in zip(self._groups, assignment.addresses, strict=True):
            group.assigned(addresses, self._displaced)
        duplicates = frozenset(assignment.duplicates)
        for duplicate in sorted(duplicates - self._duplicates, key=msgspec.structs.astuple):
            self._environment.metrics.duplicates.labels(duplicate.group).inc()
            log.warning(
                "address is named twice; this group does without it",
                group=duplicate.group,
                endpoint=duplicate.address,
                winner=duplicate.winner,
            )
        self._duplicates = duplicates

    def _drop_displaced(self) -> None:
        """Retire the endpoints that no group wants: at once, or when discovery has had its chance."""
        undecided = any(not group.looked for group in self._groups)
        if undecided and anyio.current_time() < self._displaced_until:
            return
        displaced, self._displaced = self._displaced, {}
        if displaced:
            self._snapshots.changed()
        for endpoint in displaced.values():
            log.info("endpoint removed", group=endpoint.view().group, endpoint=endpoint.address)
            self._producers.update(endpoint.address, None)
            endpoint.retire()

    def _look_at_first_round(self) -> None:
        if not self._claims_changed and all(group.looked and group.asked_all for group in self._groups):
            self._first_round.set()


def _innermost(error: BaseException) -> str:
    """The first fault in nested groups, in words."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
