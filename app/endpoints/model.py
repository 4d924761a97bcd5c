"""What requests see of the endpoints: immutable views, taken together as a snapshot."""

from enum import StrEnum
from typing import Protocol

import msgspec

from app.rpc.channel import Channel

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


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint at one moment.

    :param info: the last known answer; None: never answered, or forgotten after the unhealthy timeout.
    :param since: seconds since the epoch of the last change of `state`.
    :param last_check: seconds since the epoch of the last Info call's end; 0: none yet.
    :param last_error: why it is unhealthy; "" when healthy.
    """

    group: str
    address: str
    channel: Channel
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
    """A snapshot in use: the channels in it stay open until `release`. A context manager."""

    snapshot: Snapshot

    def __enter__(self) -> Snapshot: ...

    def __exit__(self, *exc: object) -> None: ...


class EndpointSource(Protocol):
    """Where fan-out gets its endpoints from."""

    def lease(self) -> Lease:
        """The endpoints now. To be released when the request has ended."""
