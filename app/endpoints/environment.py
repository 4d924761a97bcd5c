"""What all groups share, and what is put in from outside."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from app.config.addresses import DnsAddress
from app.config.model import EndpointGroup
from app.discovery.dns import Resolved
from app.discovery.watcher import DirectoryWatcher
from app.endpoints.metrics import EndpointMetrics
from app.endpoints.model import EndpointChannel
from app.endpoints.schedule import Stagger
from app.endpoints.settings import EndpointSettings
from app.endpoints.snapshots import Snapshots
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider


class Certificates(Protocol):
    """What is needed of `app.tls.cache.CertificateCache`."""

    def provider(self, group: str, role: Role, files: TlsFiles, policy: TlsPolicy) -> Provider: ...

    def remove(self, provider: Provider) -> None: ...

    def rename(self, provider: Provider, group: str) -> None: ...


class ChannelFactory(Protocol):
    """Makes the channel of an endpoint; it connects in `run`, not before.

    :param tls: the group's provider; None is plaintext.
    :param name: that the certificate is verified against, unless the group sets one; empty: the host of
        `address`.
    """

    def __call__(
        self, group: EndpointGroup, address: str, tls: Provider | None, name: str
    ) -> EndpointChannel: ...


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """:param clock: seconds since the epoch."""

    settings: EndpointSettings
    certificates: Certificates
    channel_factory: ChannelFactory
    metrics: EndpointMetrics
    clock: Callable[[], float]
    snapshots: Snapshots
    stagger: Stagger
    watcher: DirectoryWatcher
    lookup: Callable[[DnsAddress], Awaitable[tuple[Resolved, ...]]]
