"""One endpoint behind several addresses: each call goes to one of them, in turn.

Thanos calls it an endpoint group. Its members hold the same data; asking one is enough. A call that one did
not take (no connection could be made) goes to the next.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import anyio.abc
import structlog

from app.discovery.dns import LookupFailed, Resolved
from app.errors import CallError, Code, FailureKind
from app.rpc.calls import ResponseStream
from app.rpc.channel import DEFAULT_WINDOW, Channel
from app.rpc.model import ChannelStatus, Metadata

DRAIN = 300.0
"""Seconds that calls have to end at an address that DNS does not give any more."""

# Where a call fails before anybody has looked at it.
_NOT_TAKEN = frozenset(
    (
        FailureKind.RESOLVE,
        FailureKind.CONNECT,
        FailureKind.HANDSHAKE,
        FailureKind.MATERIAL,
        FailureKind.CLOSED,
    )
)

log = structlog.get_logger()


class BalancedChannel:
    """Mutable: the channels, one for each address, changed by `run` alone; whose turn it is.

    :param address: as the operator wrote it.
    :param look_up: its addresses now; raises LookupFailed.
    :param make: a channel to one of them.
    :param interval: seconds between two lookups.
    """

    def __init__(
        self,
        address: str,
        *,
        group: str,
        look_up: Callable[[], Awaitable[Sequence[Resolved]]],
        make: Callable[[Resolved], Channel],
        interval: float,
    ) -> None:
        self.address = address
        self._log = log.bind(group=group, endpoint=address)
        self._look_up = look_up
        self._make = make
        self._interval = interval
        self._channels: dict[Resolved, Channel] = {}
        self._retired: list[Channel] = []
        self._turn = 0
        self._reason = "its addresses were not looked up yet"
        self._looked = anyio.Event()
        self._closing = anyio.Event()

    # -- owned by the endpoint's task

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Look the addresses up and own their channels, until cancelled or closed."""
        async with anyio.create_task_group() as tasks:
            task_status.started()
            while not self._closing.is_set():
                await self._follow(tasks)
                self._looked.set()
                with anyio.move_on_after(self._interval):
                    await self._closing.wait()

    async def aclose(self, grace: float) -> None:
        """Take no new calls, let those open end within `grace` seconds, then close. `run` returns."""
        self._closing.set()
        self._looked.set()
        async with anyio.create_task_group() as tasks:
            for channel in (*self._channels.values(), *self._retired):
                tasks.start_soon(channel.aclose, grace)

    async def _follow(self, tasks: anyio.abc.TaskGroup) -> None:
        try:
            found = await self._look_up()
        except LookupFailed as error:
            self._reason = f"its addresses cannot be looked up: {error}"
            self._log.warning("DNS gives no answer", reason=str(error), last_good=len(self._channels))
            return
        if self._closing.is_set():
            return
        self._reason = "DNS gives no addresses for it"
        for resolved in set(self._channels) - set(found):
            self._log.info("address of the endpoint group removed", address=resolved.address)
            tasks.start_soon(self._retire, self._channels.pop(resolved))
        for resolved in found:
            if resolved not in self._channels:
                self._log.info("address of the endpoint group added", address=resolved.address)
                channel = self._make(resolved)
                self._channels[resolved] = channel
                tasks.start_soon(channel.run)

    async def _retire(self, channel: Channel) -> None:
        self._retired.append(channel)
        try:
            await channel.aclose(DRAIN)
        finally:
            self._retired.remove(channel)

    def rename(self, group: str) -> None:
        """The group is called something else now."""
        self._log = log.bind(group=group, endpoint=self.address)
        for channel in self._channels.values():
            channel.rename(group)

    # -- calls

    async def unary(
        self, method: str, request: bytes, *, timeout: float | None, metadata: Metadata | None = None
    ) -> bytes:
        """One message for one message, from one of the addresses.

        :raises CallError: naming the address and the reason.
        """
        failure: CallError | None = None
        for channel in await self._in_turn(timeout):
            try:
                return await channel.unary(method, request, timeout=timeout, metadata=metadata)
            except CallError as error:
                if error.kind not in _NOT_TAKEN:
                    raise
                failure = error
        raise failure or self._nobody()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        request: bytes,
        *,
        timeout: float | None,
        metadata: Metadata | None = None,
        window: int = DEFAULT_WINDOW,
    ) -> AsyncIterator[ResponseStream]:
        """Many messages for one, from one of the addresses. Leaving early cancels the call at once.

        :raises CallError: on entering, when no address takes the call; from the stream later on.
        """
        failure: CallError | None = None
        async with AsyncExitStack() as exits:
            opened: ResponseStream | None = None
            for channel in await self._in_turn(timeout):
                try:
                    opened = await exits.enter_async_context(
                        channel.stream(method, request, timeout=timeout, metadata=metadata, window=window)
                    )
                    break
                except CallError as error:
                    if error.kind not in _NOT_TAKEN:
                        raise
                    failure = error
            if opened is None:
                raise failure or self._nobody()
            yield opened

    async def _in_turn(self, timeout: float | None) -> list[Channel]:
        """All channels, beginning with the one whose turn it is."""
        with anyio.move_on_after(timeout):
            await self._looked.wait()
        channels = [self._channels[key] for key in sorted(self._channels)]
        if not channels:
            return []
        self._turn += 1
        first = self._turn % len(channels)
        return channels[first:] + channels[:first]

    def _nobody(self) -> CallError:
        return CallError(Code.UNAVAILABLE, f"{self.address}: {self._reason}", FailureKind.RESOLVE)

    def status(self) -> ChannelStatus:
        """All of them together; TLS is that of the connection that was made last."""
        every = [channel.status() for channel in self._channels.values()]
        connected = max(
            (each for each in every if each.connected_at is not None),
            key=lambda each: each.connected_at or 0.0,
            default=None,
        )
        errors: Mapping[str, None] = dict.fromkeys(each.last_error for each in every if each.last_error)
        return ChannelStatus(
            address=self.address,
            connected_at=connected.connected_at if connected else None,
            tls=connected.tls if connected else None,
            handshakes=sum(each.handshakes for each in every),
            calls=sum(each.calls for each in every),
            failures=sum(each.failures for each in every),
            last_error="; ".join(errors) or ("" if every else self._reason),
            identity_refused=next((each.identity_refused for each in every if each.identity_refused), ""),
        )
