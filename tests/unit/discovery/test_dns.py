"""Names looked up at a DNS server of the test's own: records, failures, and what stays."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import dns.rcode
import pytest
from prometheus_client import CollectorRegistry

from app.config.addresses import DnsAddress, DnsKind, check_address, parse_dns_address, same_endpoint
from app.discovery.dns import DnsMetrics, DnsSd, LookupFailed, Lookups, Resolved
from tests.harness.dns_server import DnsServer, dns_server

pytestmark = pytest.mark.anyio

SRV = "_grpc._tcp.store.test"


def address(text: str) -> DnsAddress:
    found = parse_dns_address(text)
    assert found is not None
    return found


@asynccontextmanager
async def serving() -> AsyncIterator[DnsServer]:
    async with dns_server() as server:
        server.records = {
            ("store.test", "A"): ["127.0.0.2", "127.0.0.1"],
            ("store.test", "AAAA"): ["::1"],
            (SRV, "SRV"): ["0 0 10901 a.store.test.", "0 0 10902 b.store.test."],
            ("a.store.test", "A"): ["127.0.0.3"],
            ("b.store.test", "AAAA"): ["::2"],
        }
        yield server


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "dns+store.test:1",
            [("127.0.0.1:1", "store.test"), ("127.0.0.2:1", "store.test"), ("[::1]:1", "store.test")],
        ),
        (
            "dnsdualstack+store.test:1",
            [("127.0.0.1:1", "store.test"), ("127.0.0.2:1", "store.test"), ("[::1]:1", "store.test")],
        ),
        (f"dnssrv+{SRV}", [("127.0.0.3:10901", "a.store.test"), ("[::2]:10902", "b.store.test")]),
        (f"dnssrv+{SRV}:7", [("127.0.0.3:7", "a.store.test"), ("[::2]:7", "b.store.test")]),
        (
            f"dnssrvnoa+{SRV}",
            [("a.store.test:10901", "a.store.test"), ("b.store.test:10902", "b.store.test")],
        ),
        ("dns+nobody.test:1", []),
        ("dnssrv+store.test", []),
    ],
)
async def test_what_names_lead_to_and_what_is_verified(text: str, wanted: list[tuple[str, str]]) -> None:
    async with serving() as server:
        found = await Lookups(server.address).look_up(address(text))
    assert [(each.address, each.name) for each in found] == wanted


async def test_no_answer_is_told_from_an_empty_one() -> None:
    async with serving() as server:
        server.rcode = dns.rcode.REFUSED
        for text in ("dns+store.test:1", f"dnssrv+{SRV}"):
            with pytest.raises(LookupFailed):
                await Lookups(server.address).look_up(address(text))


async def test_the_system_knows_its_own_names() -> None:
    found = await Lookups().look_up(address("dns+localhost:9"))
    assert Resolved("127.0.0.1:9", "localhost") in found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("dns+a.b:1", DnsAddress(DnsKind.ADDRESSES, "a.b", 1)),
        ("dnsdualstack+a:1", DnsAddress(DnsKind.DUAL_STACK, "a", 1)),
        ("dnssrv+_x._tcp.a", DnsAddress(DnsKind.SERVICE, "_x._tcp.a", None)),
        ("dnssrvnoa+_x._tcp.a:2", DnsAddress(DnsKind.SERVICE_NAMES, "_x._tcp.a", 2)),
        ("a:1", None),
    ],
)
def test_how_names_are_written(text: str, wanted: DnsAddress | None) -> None:
    assert parse_dns_address(text) == wanted
    check_address(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dns+a", "has no port"),
        ("dns+:1", "has no host"),
        ("dnssrv+", "is not a name"),
        ("dns+127.0.0.1:1", "nothing to look up"),
        ("dns+dns+a:1", "cannot be here"),
        ("dns+http://a:1", "has a scheme"),
    ],
)
def test_how_they_are_not_written(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_address(text)


def test_names_are_the_same_in_other_letters() -> None:
    assert same_endpoint("dns+A.b.:1") == same_endpoint("dns+a.b:1")
    assert same_endpoint("dnssrv+a.b:1") != same_endpoint("dns+a.b:1")


class Followed:
    """A `DnsSd` whose lookups the test answers. Mutable: `answer`, and how often something was new."""

    def __init__(self) -> None:
        self.answer: Callable[[DnsAddress], tuple[Resolved, ...]] = lambda _: ()
        self.lookups = 0
        self.changes = 0
        self._happened = anyio.Event()
        self.registry = CollectorRegistry()
        self.sd = DnsSd("g", lookup=self._look_up, interval=0.02, metrics=DnsMetrics(self.registry))

    async def _look_up(self, asked: DnsAddress) -> tuple[Resolved, ...]:
        self.lookups += 1
        self._tell()
        return self.answer(asked)

    def changed(self) -> None:
        self.changes += 1
        self._tell()

    def _tell(self) -> None:
        self._happened.set()
        self._happened = anyio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        with anyio.fail_after(5):
            while not holds():
                await self._happened.wait()

    def metric(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        return self.registry.get_sample_value(f"thanos_query_endpoints_dns_{name}", labels)


async def test_the_last_good_answer_stays_while_dns_fails() -> None:
    followed = Followed()
    one, other = Resolved("127.0.0.1:1", "a"), Resolved("127.0.0.2:1", "a")
    name = "dns+a:1"

    def fails(_: DnsAddress) -> tuple[Resolved, ...]:
        raise LookupFailed("the server is gone")

    followed.answer = fails
    followed.sd.replace([name])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(followed.sd.follow, followed.changed)
        await followed.until(lambda: followed.changes == 1)  # looked, and found nothing
        assert followed.sd.looked
        assert followed.sd.failures() == (f"{name}: the server is gone",)
        followed.answer = lambda _: (one,)
        await followed.until(lambda: followed.changes == 2)
        assert followed.sd.resolved(name) == (one,)
        assert followed.metric("provider_results", {"addr": name}) == 1
        followed.answer = fails
        failures = followed.metric("failures_total") or 0
        await followed.until(lambda: (followed.metric("failures_total") or 0) > failures + 1)
        assert (followed.sd.resolved(name), followed.sd.failures()) == ((one,), ())
        followed.answer = lambda _: (one, other)
        await followed.until(lambda: followed.changes == 3)
        followed.answer = lambda _: ()  # an answer: the name has no addresses any more
        await followed.until(lambda: followed.changes == 4)
        assert followed.sd.resolved(name) == ()
        followed.sd.replace([])
        assert followed.metric("provider_results", {"addr": name}) is None
        tasks.cancel_scope.cancel()
