"""One endpoint group: its certificates, its discovery and its endpoints, all owned by one task."""

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import NamedTuple

import anyio
import anyio.abc
import msgspec
import structlog

from app.config.addresses import parse_dns_address
from app.config.model import EndpointGroup, Mode
from app.discovery.dns import DnsSd
from app.discovery.filesd import FileSd
from app.endpoints.client_tls import client_material
from app.endpoints.endpoint import Endpoint
from app.endpoints.environment import Environment
from app.endpoints.membership import Claims, canonical
from app.endpoints.model import EndpointView, State
from app.endpoints.state import EndpointState
from app.tls.model import Role
from app.tls.provider import Provider

log = structlog.get_logger()

Displaced = MutableMapping[tuple[str, int], Endpoint]
"""Endpoints that have lost their place, by canonical address."""


class Origin(NamedTuple):
    """Where an address comes from: as it was written, and the name that its certificate is verified against
    where that is not in the address itself."""

    written: str
    name: str


class Group:
    """Mutable: its configuration (`update`), the addresses it was given (`assigned`), its endpoints (made to
    fit these, and given away by `release`). It survives a crash of its task, so that its endpoints stay
    listed meanwhile and what they answered is still known.

    An address that another group had has a predecessor: the endpoint that served it there. It serves here
    too, until the endpoint that is made anew, with this group's TLS, has answered or failed once. So an
    address that goes from one group to another, or whose `tls_config` was edited, is missing from no answer.

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
        self._predecessors: dict[str, Endpoint] = {}
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
        self._dns = DnsSd(
            config.name,
            lookup=environment.lookup,
            interval=environment.settings.dns_interval,
            metrics=environment.metrics.dns,
        )
        self._origins: dict[str, Origin] = {}
        self._dns.replace(self._names())

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def looked(self) -> bool:
        """Whether discovery has looked once, or could not since the group crashed."""
        return (self._discovery.looked and self._dns.looked) or self.crashed

    @property
    def asked_all(self) -> bool:
        """Whether each endpoint has answered or failed once."""
        if self.crashed:
            return True
        endpoints = (self._endpoints.get(address) for address in self._addresses)
        return all(each is not None and each.state.state is not State.NEW for each in endpoints)

    def claims(self) -> Claims:
        """The addresses that it names."""
        found: list[str] = []
        origins: dict[str, Origin] = {}
        for written in self._written():
            if not self._is_looked_up(written):
                found.append(written)
                origins.setdefault(written, Origin(written, ""))
                continue
            for resolved in self._dns.resolved(written):
                found.append(resolved.address)
                origins.setdefault(resolved.address, Origin(written, resolved.name))
        self._origins = origins
        return Claims(
            group=self.name,
            tls=self.config.tls is not None,
            addresses=tuple(found),
            complete=self._discovery.looked and self._dns.looked,
            running=frozenset(address for address, each in self._endpoints.items() if not each.handed_over),
        )

    def views(self) -> tuple[EndpointView, ...]:
        """Its endpoints in order, as of their last change."""
        return tuple(each.view() for each in self._own_endpoints())

    def views_now(self) -> tuple[EndpointView, ...]:
        """The same with the times of the last checks."""
        return tuple(each.view_now() for each in self._own_endpoints())

    def _own_endpoints(self) -> Iterator[Endpoint]:
        """Those that serve its addresses, in order: the task may not have got round to make new ones."""
        for address in self._addresses:
            own, before = self._endpoints.get(address), self._predecessors.get(address)
            # One that ended with its group (that crashed) serves no more, but is better than nothing.
            endpoint = own if before is None or (before.ending and own is not None) else before
            if endpoint is not None:
                yield endpoint

    def _written(self) -> tuple[str, ...]:
        """Addresses and names as the file, the flags and file SD have them."""
        return (*self.config.endpoints, *self._discovery.addresses)

    def _is_looked_up(self, written: str) -> bool:
        # A group in the load-balancing sense looks its name up itself: it is one endpoint.
        return written not in self.config.balanced and parse_dns_address(written) is not None

    def _names(self) -> tuple[str, ...]:
        return tuple(written for written in self._written() if self._is_looked_up(written))

    def discovery_failures(self) -> tuple[str, ...]:
        """Files that were never read, and names that were never found."""
        failures = (*self._discovery.failures(), *self._dns.failures())
        return tuple(f"group {self.name}: {failure}" for failure in failures)

    def refresh(self) -> None:
        """Read the files of discovery again, and look names up."""
        self._discovery.refresh()
        self._dns.refresh()

    def update(self, config: EndpointGroup) -> None:
        """Go on with another configuration; `tls` must be the same."""
        if config.name != self.name:
            self._rename(config.name)
        self.config = config
        self._discovery.replace_patterns(config.sd_files)
        self._dns.replace(self._names())
        self._describe_all()

    def _rename(self, name: str) -> None:
        log.info("group is called something else now", group=name, was=self.name)
        self._discovery.rename(name)
        self._dns.rename(name)
        if self._provider is not None:
            self._environment.certificates.rename(self._provider, name)
        for endpoint in self._endpoints.values():
            if not endpoint.handed_over:
                endpoint.rename(name)

    def release(self, kept: frozenset[str]) -> Displaced:
        """Let go of all endpoints but those of `kept`. They serve on, for whoever `assigned` gives them to;
        the others are to be retired by the caller.

        :param kept: addresses.
        """
        released: Displaced = {}
        for address in self._addresses:
            if address in kept:
                continue
            own, before = self._endpoints.get(address), self._predecessors.pop(address, None)
            if before is not None and own is not None and not own.handed_over:
                own.retire()  # it has not begun to serve
            serving = before or own
            if serving is not None:
                serving.handed_over = True
                released[canonical(address)] = serving
        return released

    def assigned(self, addresses: tuple[str, ...], displaced: Displaced) -> None:
        """The addresses that are its own from now on; what was let go of before is not among them.

        :param displaced: those that it needs are taken out.
        """
        if addresses == self._addresses:
            return
        before, self._addresses = frozenset(self._addresses), addresses
        for address in addresses:
            if address not in before and (endpoint := displaced.pop(canonical(address), None)) is not None:
                self._inherit(address, endpoint)
        self._environment.snapshots.changed()
        # New ones are made in the group's own task: what fails there is a crash of this group alone.
        self._misfit.set()

    def _inherit(self, address: str, endpoint: Endpoint) -> None:
        self._predecessors[address] = endpoint
        endpoint.describe(self.name, strict=self._is_strict(address))
        if self.config.tls is not None and not endpoint.secure:
            # Not one call more in plaintext. What it holds is known, so that answers can say what they miss.
            endpoint.interrupt("it is to be asked with TLS from now on, and was not yet")
            endpoint.retire()

    def retire(self) -> None:
        """All endpoints were released; the task ends when the last is closed."""
        self._retired.set()
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
        # There may be nobody to relieve them for long.
        predecessors, self._predecessors = self._predecessors, {}
        for address, endpoint in predecessors.items():
            self._endpoints.setdefault(address, endpoint)
            endpoint.interrupt(reason)
            endpoint.retire()
        for endpoint in self._endpoints.values():
            endpoint.interrupt(reason)
        self._environment.snapshots.changed()

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
            tasks.start_soon(self._discovery.follow, self._files_changed)
            tasks.start_soon(self._dns.follow, self._on_claims)
            await self._retired.wait()
            tasks.cancel_scope.cancel()

    def _files_changed(self) -> None:
        self._dns.replace(self._names())
        self._on_claims()

    async def _follow_assignments(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start endpoints until the group is retired."""
        while not self._retired.is_set():
            self._misfit = anyio.Event()
            self._fit(tasks)
            await self._misfit.wait()

    def _fit(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start endpoints for addresses that are new, forget those that were released."""
        kept = {
            address: each
            for address, each in self._endpoints.items()
            if not each.ending and not each.handed_over
        }
        # Made before anything changes, so that a fault here leaves the old ones listed.
        endpoints = {address: kept.get(address) or self._make(address) for address in self._addresses}
        self._endpoints = endpoints
        self._describe_all()
        for address, endpoint in endpoints.items():
            if address not in kept:
                log.info("endpoint added", group=self.name, endpoint=address)
                tasks.start_soon(endpoint.run)

    def _make(self, address: str) -> Endpoint:
        return Endpoint(
            address,
            self._environment.channel_factory(
                self.config, address, self._provider, self._origins.get(address, Origin(address, "")).name
            ),
            self._environment,
            state=self._first_state(address),
            secure=self._provider is not None,
            on_change=self._changed,
        )

    def _first_state(self, address: str) -> EndpointState:
        """What is known of an address is worth something to those who ask, whoever found it out."""
        new = EndpointState(since=self._environment.clock())
        before, ended = self._predecessors.get(address), self._endpoints.get(address)
        if before is None:
            return new if ended is None else ended.state
        return msgspec.structs.replace(
            new,
            info=before.state.info,
            answered_at=before.state.answered_at,
            last_error=before.state.last_error if before.ending else "",
        )

    def _changed(self, endpoint: Endpoint, before: EndpointState) -> None:
        if endpoint.handed_over:
            self._environment.snapshots.changed()
        # One that was retired is nobody's concern any more.
        elif self._endpoints.get(endpoint.address) is endpoint and not self._retired.is_set():
            if endpoint.state.state is not State.NEW:
                self._relieve(endpoint.address)
            self._on_change(endpoint, before)

    def _relieve(self, address: str) -> None:
        """The endpoint of `address` was asked: its predecessor has done its part."""
        predecessor = self._predecessors.pop(address, None)
        if predecessor is not None:
            self._environment.snapshots.changed()
            predecessor.retire()

    def _describe_all(self) -> None:
        for address, endpoint in (*self._endpoints.items(), *self._predecessors.items()):
            if not endpoint.handed_over or self._predecessors.get(address) is endpoint:
                endpoint.describe(self.name, strict=self._is_strict(address))
        self._environment.snapshots.changed()

    def _is_strict(self, address: str) -> bool:
        origin = self._origins.get(address)
        written = address if origin is None else origin.written
        return self.config.mode is Mode.STRICT or written in self.config.strict_endpoints
