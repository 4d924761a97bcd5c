"""One endpoint: its channel, its Info polls, and its orderly end."""

from collections.abc import Callable

import anyio
import structlog

from app.endpoints.environment import Environment
from app.endpoints.info import METHOD, parse_info
from app.endpoints.model import EndpointChannel, EndpointView, State
from app.endpoints.state import EndpointState
from app.errors import CallError

CLOSE_SLACK = 1.0
"""Seconds that a channel may take to close beyond its grace."""

log = structlog.get_logger()


class Endpoint:
    """Mutable: the state, changed by the polls (and by `interrupt`); group name and strictness, changed by
    `describe`; whether it was handed over, changed by its group. Its task is started by its group and ends
    when it was retired and nobody uses it any more.

    `handed_over`: its group has no use for it any more. It serves until another endpoint of the same address
    has been asked once, or nobody wants one; it is retired by who it was handed to.

    :param secure: whether the channel has TLS.
    :param on_change: told the state before and the endpoint, after each change that requests can see.
    """

    def __init__(
        self,
        address: str,
        channel: EndpointChannel,
        environment: Environment,
        *,
        state: EndpointState,
        secure: bool,
        on_change: Callable[["Endpoint", EndpointState], None],
    ) -> None:
        self.address = address
        self.state = state
        self.secure = secure
        self.handed_over = False
        self._channel = channel
        self._environment = environment
        self._group = ""
        self._strict = False
        self._on_change = on_change
        self._schedule = environment.stagger.schedule()
        self._first_poll = environment.stagger.first_poll(anyio.current_time())
        self._first_snapshot = environment.snapshots.newest + 1
        self._last_snapshot: int | None = None
        self._polling = anyio.CancelScope()
        # A connection must outlive the cancellation of its group for as long as requests finish on it.
        self._channel_scope = anyio.CancelScope(shield=True)
        self._closed = False
        self._raw: bytes | None = None
        self._view: EndpointView | None = None

    def describe(self, group: str, *, strict: bool) -> None:
        """Which group it belongs to, and whether it is asked while unhealthy."""
        if (group, strict) != (self._group, self._strict):
            self._group, self._strict = group, strict
            self._view = None

    def rename(self, group: str) -> None:
        """Its group is called something else now."""
        self._channel.rename(group)

    def view(self) -> EndpointView:
        """As of the last change."""
        if self._view is None:
            self._view = self.view_now()
        return self._view

    def view_now(self) -> EndpointView:
        """With the time of the last check."""
        state = self.state
        return EndpointView(
            group=self._group,
            address=self.address,
            channel=self._channel,
            strict=self._strict,
            state=state.state,
            info=state.info,
            since=state.since,
            last_check=state.last_check,
            last_error=state.last_error,
        )

    @property
    def ending(self) -> bool:
        """Whether it was retired, or its task has ended."""
        return self._closed or self._polling.cancel_called

    def retire(self) -> None:
        """Ask no more. The task ends when the requests that lease it have, within the grace. It must be out
        of the snapshots already."""
        self._last_snapshot = self._environment.snapshots.newest
        self._polling.cancel()

    def interrupt(self, reason: str) -> None:
        """Its group does not look after it any more; the group itself logs why."""
        self._become(self.state.interrupted(reason, self._environment.clock()), logged=False)

    async def run(self) -> None:
        """Poll until retired, then close. Cancelled, it closes within `close_grace`."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._own_channel)
            try:
                await self._poll_until_retired()
                await self._close(self._environment.settings.lease_grace)
            finally:
                if not self._polling.cancel_called:
                    self.interrupt("the endpoint group is being stopped")
                with anyio.CancelScope(shield=True):
                    await self._close(self._environment.settings.close_grace)

    async def _own_channel(self) -> None:
        with self._channel_scope:
            await self._channel.run()

    async def _close(self, grace: float) -> None:
        """Wait for the leases, then for what is still open on the channel: `grace` seconds together."""
        if self._closed:
            return
        deadline = anyio.current_time() + grace
        snapshots = self._environment.snapshots
        last = snapshots.newest if self._last_snapshot is None else self._last_snapshot
        with anyio.move_on_at(deadline):
            await snapshots.drained(range(self._first_snapshot, last + 1))
        left = max(0.0, deadline - anyio.current_time())
        with anyio.move_on_after(left + CLOSE_SLACK):
            await self._channel.aclose(left)
        self._closed = True
        self._channel_scope.cancel()

    async def _poll_until_retired(self) -> None:
        with self._polling:
            await anyio.sleep_until(self._first_poll)
            while True:
                await self._poll()
                await anyio.sleep_until(self._schedule.after(anyio.current_time()))

    async def _poll(self) -> None:
        settings, metrics = self._environment.settings, self._environment.metrics
        started = anyio.current_time()
        try:
            raw = await self._channel.unary(METHOD, b"", timeout=settings.info_timeout)
            # Nearly every answer is the last one again; parsing costs as much as the call.
            info = self.state.info
            if raw != self._raw or info is None:
                info = parse_info(raw)
                self._raw = raw
        except CallError as error:
            self._failed(error.message or error.code.name, str(error.kind))
        except ValueError as error:
            self._failed(str(error), "malformed")
        else:
            self._become(self.state.answered(info, self._environment.clock()))
        metrics.info_duration.labels(self._group).observe(anyio.current_time() - started)

    def _failed(self, reason: str, kind: str) -> None:
        self._environment.metrics.info_failures.labels(self._group, kind).inc()
        self._become(
            self.state.failed(
                reason,
                self._environment.clock(),
                unhealthy_timeout=self._environment.settings.unhealthy_timeout,
                strict=self._strict,
            )
        )

    def _become(self, state: EndpointState, *, logged: bool = True) -> None:
        before, self.state = self.state, state
        if not state.looks_like(before):
            self._view = None
            if logged:
                self._log_change(before)
            self._on_change(self, before)

    def _log_change(self, before: EndpointState) -> None:
        now, bound = self.state, log.bind(group=self._group, endpoint=self.address)
        if now.state is State.HEALTHY:
            if before.state is not State.HEALTHY:
                component = now.info.component if now.info is not None else ""
                bound.info("endpoint is healthy", component=component)
        elif before.last_error != now.last_error:
            bound.warning("endpoint is unhealthy", reason=now.last_error)
        if before.info is not None and now.info is None:
            bound.warning("endpoint did not answer for too long; what it holds is forgotten")
