"""Channels and certificates that do what a test tells them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import anyio
from prometheus_client import CollectorRegistry

from app.config.model import EndpointGroup
from app.endpoints.metrics import EndpointMetrics
from app.endpoints.model import BlockStream, EndpointView, Snapshot
from app.endpoints.settings import EndpointSettings
from app.endpoints.supervisor import Endpoints
from app.errors import CallError, Code, FailureKind
from app.pb.thanos import Label, ZLabelSet
from app.pb.thanos.info import InfoResponse, StoreInfo
from app.rpc.model import ChannelStatus, Metadata
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider

EPOCH = 1_700_000_000.0


def wall_clock() -> float:
    """Runs with the loop's clock."""
    return EPOCH + anyio.current_time()


def info_bytes(component: str = "sidecar", min_time: int = 1, **labels: str) -> bytes:
    return bytes(
        InfoResponse(
            label_sets=[ZLabelSet(labels=[Label(name=name, value=value) for name, value in labels.items()])],
            component_type=component,
            store=StoreInfo(min_time=min_time, max_time=20, supports_without_replica_labels=True),
        )
    )


def refused(message: str = "connection refused") -> CallError:
    return CallError(Code.UNAVAILABLE, message, FailureKind.CONNECT)


class FakeChannel:
    """Mutable by the test: what it answers. Records when it was asked, and its end."""

    def __init__(self, network: "FakeNetwork", group: str, address: str, tls: object) -> None:
        self.group = group
        self.address = address
        self.tls = tls
        self.asked_at: list[float] = []
        self.running = False
        self.closed_with: list[float] = []
        self.ended = anyio.Event()
        self.crash = anyio.Event()
        self._network = network

    async def run(self) -> None:
        self.running = True
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._crash)
                await self.ended.wait()
                tasks.cancel_scope.cancel()
        finally:
            self.running = False

    async def _crash(self) -> None:
        await self.crash.wait()
        raise RuntimeError("a bug in the channel")

    async def unary(
        self, method: str, request: bytes, *, timeout: float | None, metadata: Metadata | None = None
    ) -> bytes:
        assert method == "/thanos.info.Info/Info"
        assert timeout is not None
        self.asked_at.append(anyio.current_time())
        if self.closed_with:
            raise CallError(Code.UNAVAILABLE, "the channel is closed", FailureKind.CLOSED)
        answer = self._network.answers.get(self.address, info_bytes(replica=self.address))
        if callable(answer):
            with anyio.move_on_after(timeout):
                await answer()
            raise CallError(Code.DEADLINE_EXCEEDED, f"{self.address}: no answer", FailureKind.TIMEOUT)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stream(
        self,
        method: str,
        request: bytes,
        *,
        timeout: float | None,
        metadata: Metadata | None = None,
        window: int = 0,
    ) -> AbstractAsyncContextManager[BlockStream]:
        raise NotImplementedError

    def status(self) -> ChannelStatus:
        raise NotImplementedError

    def rename(self, group: str) -> None:
        self.group = group

    async def aclose(self, grace: float) -> None:
        self.closed_with.append(grace)
        self.ended.set()


class FakeNetwork:
    """Mutable by the test: what each address answers (bytes, an error, or something to wait for). Records all
    channels in the order they were made."""

    def __init__(self) -> None:
        self.channels: list[FakeChannel] = []
        self.answers: dict[str, bytes | Exception | Callable[[], Awaitable[object]]] = {}
        self.refuse: set[str] = set()

    def channel(
        self, group: EndpointGroup, address: str, tls: Provider | None, name: str = ""
    ) -> FakeChannel:
        if address in self.refuse:
            raise RuntimeError("a bug in the factory")
        made = FakeChannel(self, group.name, address, tls)
        self.channels.append(made)
        return made

    def of(self, address: str) -> FakeChannel:
        """The newest channel of an address."""
        return next(each for each in reversed(self.channels) if each.address == address)


class FakeProvider:
    """What a channel gets for TLS."""

    def __init__(self, group: str, files: TlsFiles) -> None:
        self.group = group
        self.files = files


class FakeCertificates:
    """Records which groups have a provider now."""

    def __init__(self) -> None:
        self._providers: list[FakeProvider] = []

    @property
    def groups(self) -> list[str]:
        return [each.group for each in self._providers]

    def provider(self, group: str, role: Role, files: TlsFiles, policy: TlsPolicy) -> Provider:
        assert role is Role.CLIENT
        self._providers.append(FakeProvider(group, files))
        return cast(Provider, self._providers[-1])

    def remove(self, provider: Provider) -> None:
        self._providers.remove(cast(FakeProvider, provider))

    def rename(self, provider: Provider, group: str) -> None:
        cast(FakeProvider, provider).group = group


class Bench:
    """The real supervisor among fakes."""

    def __init__(self, **settings: float) -> None:
        self.network = FakeNetwork()
        self.certificates = FakeCertificates()
        self.registry = CollectorRegistry()
        self.endpoints = Endpoints(
            settings=EndpointSettings(**settings),
            certificates=self.certificates,
            channel_factory=self.network.channel,
            metrics=EndpointMetrics(self.registry),
            clock=wall_clock,
        )

    @asynccontextmanager
    async def running(self, *groups: EndpointGroup) -> AsyncIterator[Endpoints]:
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.endpoints.run, groups)
            yield self.endpoints
            tasks.cancel_scope.cancel()

    def views(self) -> dict[str, EndpointView]:
        snapshot: Snapshot = self.endpoints.snapshot()
        return {view.address: view for view in snapshot.endpoints}

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


async def settle() -> None:
    """Let everything happen that can happen without time passing: the virtual clock moves on to this timer
    only when nothing else is left to do."""
    await anyio.sleep(0.001)
