"""What requests see of the endpoints: immutable views, taken together as a snapshot."""

from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol

import msgspec

from app.rpc.model import ChannelStatus, Metadata

Labels = tuple[tuple[str, str], ...]
"""Sorted by name."""

MIN_TIME = -(2**63)
MAX_TIME = 2**63 - 1


class State(StrEnum):
    NEW = "new"  # no Info answer yet, nor a failure
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Api(StrEnum):
    """APIs an endpoint's Info may offer."""

    STORE = "store"
    RULES = "rules"
    TARGETS = "targets"
    METADATA = "metadata"
    EXEMPLARS = "exemplars"
    QUERY = "query"
    STATUS = "status"


class TsdbInfo(msgspec.Struct, frozen=True):
    labels: Labels
    min_time: int
    max_time: int


class EndpointInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What Info answered. Times are milliseconds since the epoch, both inclusive."""

    component: str
    label_sets: tuple[Labels, ...]
    min_time: int
    max_time: int
    apis: frozenset[Api]
    supports_sharding: bool = False
    supports_without_replica_labels: bool = False
    tsdb_infos: tuple[TsdbInfo, ...] = ()


class BlockStream(Protocol):
    """The answer of one streaming call, as `app.rpc.channel.ResponseStream` gives it."""

    async def next_block(self) -> bytes | bytearray | None:
        """Complete messages with their five-byte prefixes, all that have arrived; None at the OK end.

        :raises CallError: the call did not end with OK.
        """

    def release(self) -> None:
        """The last block is consumed: return its window to the peer."""


class EndpointChannel(Protocol):
    """What endpoints and fan-out need of `app.rpc.channel.Channel`."""

    @property
    def address(self) -> str: ...

    async def run(self) -> None:
        """Own all connections of the channel, until `aclose` has closed them."""

    async def unary(
        self, method: str, request: bytes, *, timeout: float | None, metadata: Metadata = ...
    ) -> bytes:
        """:raises CallError: the call did not end with OK within `timeout` seconds."""

    def stream(
        self,
        method: str,
        request: bytes,
        *,
        timeout: float | None,
        metadata: Metadata = ...,
        window: int = ...,
    ) -> AbstractAsyncContextManager[BlockStream]:
        """Open a call; leaving the context early cancels it."""

    def status(self) -> ChannelStatus: ...

    def rename(self, group: str) -> None:
        """Count for another group from now on."""

    async def aclose(self, grace: float) -> None:
        """Take no new call, finish those open within `grace` seconds, then close. May be called again with a
        shorter grace when the first call was cancelled."""


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint at one moment.

    :param info: the last known answer; None: never answered, or forgotten after the unhealthy timeout.
    :param channel: closed where the group of the endpoint is being restarted; calls then fail and say so.
    :param since: seconds since the epoch of the last change of `state`.
    :param last_check: seconds since the epoch of the last Info call's end; 0: none yet. In a leased snapshot
        it may be old: a check that changed nothing else does not make a new snapshot.
    :param last_error: why it is unhealthy; "" when healthy.
    """

    group: str
    address: str
    channel: EndpointChannel
    strict: bool
    state: State
    info: EndpointInfo | None
    since: float
    last_check: float
    last_error: str

    @property
    def asked(self) -> bool:
        """Whether requests go to it: healthy, or strict whatever its state."""
        return self.state is State.HEALTHY or self.strict


class Snapshot(msgspec.Struct, frozen=True):
    """All endpoints at one moment, in the order of the groups and their endpoints."""

    endpoints: tuple[EndpointView, ...]


class Lease(Protocol):
    """A snapshot in use: the channels in it stay open until the context is left."""

    @property
    def snapshot(self) -> Snapshot: ...

    def __enter__(self) -> Snapshot: ...

    def __exit__(self, *exc: object) -> None: ...


class EndpointSource(Protocol):
    """Where fan-out gets its endpoints from."""

    def lease(self) -> Lease:
        """The endpoints now. To be released when the request has ended."""
