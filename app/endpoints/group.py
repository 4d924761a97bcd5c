"""One endpoint group: its certificates, its discovery and its endpoints, all owned by one task."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import anyio.abc
import structlog

from app.config.model import EndpointGroup, Mode
from app.discovery.filesd import FileSd
from app.endpoints.client_tls import client_material
from app.endpoints.endpoint import Endpoint
from app.endpoints.environment import Environment
from app.endpoints.membership import Claims
from app.endpoints.model import EndpointView, State
from app.endpoints.state import EndpointState
from app.tls.model import Role
from app.tls.provider import Provider

log = structlog.get_logger()


class Group:
    """Mutable: its configuration (`update`), the addresses it was given (`assigned`), its endpoints (made and
    retired to fit these). It survives a crash of its task, so that its endpoints stay listed meanwhile and
    what they answered is still known.

    :param on_claims: called when the group names other addresses than before.
    :param on_change: called with an endpoint and the state it had, when requests can see a difference.
    """

    def __init__(
        self,
        config: EndpointGroup,
        environment: Environment,
        *,
        on_claims: Callable[[], None],
        on_change: Callable[[Endpoint, EndpointState], None],
    ) -> None:
        self.config = config
        self.crashed = False
        self._environment = environment
        self._on_claims = on_claims
        self._on_change = on_change
        self._addresses: tuple[str, ...] = ()
        self._endpoints: dict[str, Endpoint] = {}
        self._misfit = anyio.Event()
        self._provider: Provider | None = None
        self._retired = anyio.Event()
        self._discovery = FileSd(
            config.name,
            config.sd_files,
            interval=environment.settings.sd_interval,
            watcher=environment.watcher,
            metrics=environment.metrics.discovery,
        )

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def looked(self) -> bool:
        """Whether discovery has looked once, or could not since the group crashed."""
        return self._discovery.looked or self.crashed

    @property
    def asked_all(self) -> bool:
        """Whether each endpoint has answered or failed once."""
        if self.crashed:
            return True
        endpoints = (self._endpoints.get(address) for address in self._addresses)
        return all(each is not None and each.state.state is not State.NEW for each in endpoints)

    def claims(self) -> Claims:
        """The addresses that it names."""
        return Claims(
            group=self.name,
            tls=self.config.tls is not None,
            addresses=(*self.config.endpoints, *self._discovery.addresses),
            complete=self._discovery.looked,
            running=frozenset(self._endpoints),
        )

    def views(self) -> tuple[EndpointView, ...]:
        """Its endpoints in order, as of their last change."""
        return tuple(each.view() for each in self._own_endpoints())

    def views_now(self) -> tuple[EndpointView, ...]:
        """The same with the times of the last checks."""
        return tuple(each.view_now() for each in self._own_endpoints())

    def _own_endpoints(self) -> Iterator[Endpoint]:
        """Those whose address is still its own, in order: the task may not have got round to the others."""
        for address in self._addresses:
            endpoint = self._endpoints.get(address)
            if endpoint is not None:
                yield endpoint

    def discovery_failures(self) -> tuple[str, ...]:
        """Files that were never read."""
        return tuple(f"group {self.name}: {failure}" for failure in self._discovery.failures())

    def refresh(self) -> None:
        """Read the files of discovery again."""
        self._discovery.refresh()

    def update(self, config: EndpointGroup) -> None:
        """Go on with another configuration; `tls` must be the same."""
        self.config = config
        self._discovery.replace_patterns(config.sd_files)
        self._describe_all()

    def assigned(self, addresses: tuple[str, ...]) -> None:
        """The addresses that are its own from now on."""
        if addresses != self._addresses:
            self._addresses = addresses
            self._environment.snapshots.changed()
            self._retire_all_but(frozenset(addresses))
            # New ones are made in the group's own task: what fails there is a crash of this group alone.
            self._misfit.set()

    def retire(self) -> None:
        """Let go of all endpoints; the task ends when the last is closed. The group must be out of the
        snapshots already."""
        self._retired.set()
        self._retire_all_but(frozenset())
        self._misfit.set()

    async def retirement(self) -> None:
        """Wait until it is retired."""
        await self._retired.wait()

    async def run(self) -> None:
        """Own everything until retired, or cancelled, or a fault comes up from below.

        :raises ExceptionGroup: a fault. All channels are closed then; it may be run again.
        """
        with self._certificates():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._follow_discovery)
                await self._follow_assignments(tasks)

    def interrupt(self, reason: str) -> None:
        """Its task has crashed: say so for each endpoint until it runs again."""
        self.crashed = True
        for endpoint in self._endpoints.values():
            endpoint.interrupt(reason)

    @contextmanager
    def _certificates(self) -> Iterator[None]:
        tls, certificates = self.config.tls, self._environment.certificates
        if tls is None:
            log.info("group is plaintext: it has no tls_config", group=self.name)
            yield
            return
        self._provider = certificates.provider(self.name, Role.CLIENT, *client_material(tls))
        try:
            yield
        finally:
            certificates.remove(self._provider)
            self._provider = None

    async def _follow_discovery(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._discovery.follow, self._on_claims)
            await self._retired.wait()
            tasks.cancel_scope.cancel()

    async def _follow_assignments(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start endpoints until the group is retired."""
        while not self._retired.is_set():
            self._misfit = anyio.Event()
            self._fit(tasks)
            await self._misfit.wait()

    def _fit(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start endpoints for addresses that are new, forget those that were retired."""
        kept = {address: each for address, each in self._endpoints.items() if not each.ending}
        # Made before anything changes, so that a fault here leaves the old ones listed.
        endpoints = {address: kept.get(address) or self._make(address) for address in self._addresses}
        self._endpoints = endpoints
        self._describe_all()
        for address, endpoint in endpoints.items():
            if address not in kept:
                log.info("endpoint added", group=self.name, endpoint=address)
                tasks.start_soon(endpoint.run)

    def _retire_all_but(self, addresses: frozenset[str]) -> None:
        # At once, not when the task gets to it: requests from now on do not see them, and must not be waited
        # for.
        for address, endpoint in self._endpoints.items():
            if address not in addresses and not endpoint.ending:
                log.info("endpoint removed", group=self.name, endpoint=address)
                endpoint.retire()

    def _make(self, address: str) -> Endpoint:
        # One that ended is known: its state is still worth something to those who ask.
        known = self._endpoints.get(address)
        return Endpoint(
            address,
            self._environment.channel_factory(self.config, address, self._provider),
            self._environment,
            state=known.state if known is not None else EndpointState(since=self._environment.clock()),
            on_change=self._changed,
        )

    def _changed(self, endpoint: Endpoint, before: EndpointState) -> None:
        # One that was retired is nobody's concern any more.
        if self._endpoints.get(endpoint.address) is endpoint and not self._retired.is_set():
            self._on_change(endpoint, before)

    def _describe_all(self) -> None:
        config = self.config
        for address, endpoint in self._endpoints.items():
            strict = config.mode is Mode.STRICT or address in config.strict_endpoints
            endpoint.describe(config.name, strict=strict)
        self._environment.snapshots.changed()
