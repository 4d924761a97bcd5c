"""DNS discovery: addresses of names, looked up again and again; the last good answer stays while DNS fails.

Source of the meaning of the prefixes: Thanos, docs/service-discovery.md. A name that does not exist has no
addresses, which is an answer; only what is none (a time limit, SERVFAIL, no server) keeps the last good one.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import dns.asyncresolver
import dns.exception
import dns.resolver
import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from app.config.addresses import DnsAddress, DnsKind, joined, parse_dns_address, split_address

TIME_LIMIT = 10.0
"""Seconds of one lookup, all its queries together."""
AT_ONCE = 16
"""Names that are looked up at once."""

log = structlog.get_logger()


class Resolved(msgspec.Struct, frozen=True, order=True):
    """An address that a name led to.

    :param address: ``host:port`` to connect to.
    :param name: that its certificate is verified against: the host as it was written, or the target of an
        SRV record.
    """

    address: str
    name: str


class LookupFailed(Exception):
    """DNS gave no answer. The message says why."""


class Lookups:
    """Immutable: how names are looked up.

    :param server: ``host:port`` of a DNS server; empty: as the system does it, with its hosts file.
    """

    def __init__(self, server: str = "") -> None:
        self._server = server
        self._made: dns.asyncresolver.Resolver | None = None

    async def look_up(self, address: DnsAddress) -> tuple[Resolved, ...]:
        """The addresses of a name, sorted; none if it does not exist.

        :raises LookupFailed: there was no answer within `TIME_LIMIT`.
        """
        try:
            with anyio.fail_after(TIME_LIMIT):
                if address.port is not None and address.kind in (DnsKind.ADDRESSES, DnsKind.DUAL_STACK):
                    found = await self._addresses(address.host, address.port, address.host, address.kind)
                else:
                    found = await self._services(address)
        except TimeoutError:
            raise LookupFailed(f"no answer within {TIME_LIMIT:g} s") from None
        return tuple(sorted(set(found)))

    async def _services(self, address: DnsAddress) -> list[Resolved]:
        found: list[Resolved] = []
        for record in await self._query(address.host, "SRV"):
            target = record.target.to_text(omit_final_dot=True)
            port = record.port if address.port is None else address.port
            if address.kind is DnsKind.SERVICE_NAMES:
                found.append(Resolved(joined(target, port), target))
            else:
                found += await self._addresses(target, port, target, DnsKind.ADDRESSES)
        return found

    async def _addresses(self, host: str, port: int, name: str, kind: DnsKind) -> list[Resolved]:
        if not self._server:
            return [Resolved(joined(each, port), name) for each in await _system_addresses(host)]
        found: list[Resolved] = []
        failures: list[LookupFailed] = []
        for family in ("A", "AAAA"):
            try:
                records = await self._query(host, family)
            except LookupFailed as error:
                failures.append(error)
            else:
                found += [Resolved(joined(record.address, port), name) for record in records]
        # With both families asked for by name one of them is enough.
        if failures and not (found and kind is DnsKind.DUAL_STACK):
            raise failures[0]
        return found

    async def _query(self, name: str, kind: str) -> Sequence[Any]:
        try:
            answer = await self._resolver().resolve(name, kind, search=True, lifetime=TIME_LIMIT)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise LookupFailed(f"{kind} of {name}: {error}") from None
        return list(answer)

    def _resolver(self) -> dns.asyncresolver.Resolver:
        if self._made is None:
            self._made = dns.asyncresolver.Resolver(configure=not self._server)
            if self._server:
                host, port = split_address(self._server)
                self._made.nameservers, self._made.port = [host], port
                self._made.search = []
        return self._made


async def _system_addresses(host: str) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            return []
        raise LookupFailed(f"{host}: {error.strerror}") from None
    except (OSError, UnicodeError) as error:
        raise LookupFailed(f"{host}: {error}") from None
    return list(dict.fromkeys(each[4][0] for each in found if isinstance(each[4][0], str)))


class DnsMetrics:
    """Mutable: instruments, fed by DNS discovery alone; under Thanos's names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lookups = Counter(
            "thanos_query_endpoints_dns_lookups_total", "Names that were looked up.", registry=registry
        )
        self.failures = Counter(
            "thanos_query_endpoints_dns_failures_total",
            "Lookups without an answer; the last good one went on.",
            registry=registry,
        )
        self.results = Gauge(
            "thanos_query_endpoints_dns_provider_results",
            "Addresses that a name led to.",
            ("addr",),
            registry=registry,
        )


class DnsSd:
    """Mutable: the names, set by `replace`; the last good answer of each, set by `follow`.

    :param group: for the log.
    :param interval: seconds between two lookups of a name.
    """

    def __init__(
        self,
        group: str,
        *,
        lookup: Callable[[DnsAddress], Awaitable[tuple[Resolved, ...]]],
        interval: float,
        metrics: DnsMetrics,
    ) -> None:
        self._log = log.bind(group=group)
        self._lookup = lookup
        self._interval = interval
        self._metrics = metrics
        self._names: tuple[str, ...] = ()
        self._answers: dict[str, tuple[Resolved, ...]] = {}
        self._failures: dict[str, str] = {}
        self._looked_at: dict[str, float] = {}
        self._wake = anyio.Event()

    @property
    def looked(self) -> bool:
        """Whether every name was looked up once."""
        return all(name in self._looked_at for name in self._names)

    def rename(self, group: str) -> None:
        """The group is called something else now."""
        self._log = log.bind(group=group)

    def replace(self, names: Sequence[str]) -> None:
        """Follow these names, as they were written, from now on; new ones are looked up at once."""
        wanted = tuple(dict.fromkeys(names))
        if wanted == self._names:
            return
        for name in set(self._names) - set(wanted):
            self._forget(name)
        self._names = wanted
        self._wake.set()

    def resolved(self, name: str) -> tuple[Resolved, ...]:
        """The last good answer; none before the first."""
        return self._answers.get(name, ())

    def failures(self) -> tuple[str, ...]:
        """Names that never had an answer, with the reason."""
        return tuple(
            f"{name}: {reason}" for name, reason in self._failures.items() if name not in self._answers
        )

    def refresh(self) -> None:
        """Look all names up now (SIGHUP)."""
        self._looked_at = dict.fromkeys(self._looked_at, -float("inf"))
        self._wake.set()

    async def follow(self, on_change: Callable[[], None]) -> None:
        """Look names up when they are due, until cancelled.

        :param on_change: called when names were looked up for the first time, or have other addresses.
        """
        try:
            while True:
                self._wake = anyio.Event()
                now = time.monotonic()
                due = [name for name in self._names if self._due(name) <= now]
                if due and await self._look_up_all(due):
                    on_change()
                next_due = min((self._due(name) for name in self._names), default=None)
                wait = None if next_due is None else max(0.0, next_due - time.monotonic())
                with anyio.move_on_after(wait):
                    await self._wake.wait()
        finally:
            for name in self._names:
                self._forget(name)

    def _due(self, name: str) -> float:
        return self._looked_at.get(name, -float("inf")) + self._interval

    async def _look_up_all(self, names: Sequence[str]) -> bool:
        """Whether there is something new."""
        new = False
        limit = anyio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            nonlocal new
            async with limit:
                new = await self._look_up(name) or new

        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(one, name)
        return new

    async def _look_up(self, name: str) -> bool:
        address = parse_dns_address(name)
        assert address is not None
        self._metrics.lookups.inc()
        first = name not in self._looked_at
        before = self._answers.get(name)
        try:
            found = await self._lookup(address)
        except LookupFailed as error:
            self._metrics.failures.inc()
            if self._failures.get(name) != str(error):
                kept = "none" if before is None else len(before)
                self._log.warning("DNS gives no answer", name=name, reason=str(error), last_good=kept)
            self._failures[name] = str(error)
            self._looked_at[name] = time.monotonic()
            return first
        self._looked_at[name] = time.monotonic()
        self._failures.pop(name, None)
        if name not in self._names:
            return False
        self._answers[name] = found
        self._metrics.results.labels(name).set(len(found))
        if found != before:
            shown = ", ".join(each.address for each in found[:10]) or "none"
            self._log.info("DNS", name=name, addresses=shown)
        return first or found != before

    def _forget(self, name: str) -> None:
        if name in self._answers:
            self._metrics.results.remove(name)
        for each in (self._answers, self._failures, self._looked_at):
            each.pop(name, None)
