"""Names of DNS lead to endpoints, which are verified by the name that was written, or by an SRV's target.

Addresses come and go as DNS says; while it does not answer, the last good ones stay.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.rcode
import pytest
import yaml

from app.demo.pki import Subject
from app.demo.realms import LEAF_LIFETIME, spiffe
from tests.harness import Authority, Querier, Realm, RunningStore, querier, store
from tests.harness.dns_server import DnsServer, dns_server
from tests.harness.stack import until

pytestmark = pytest.mark.anyio

HOST = "store.eu.test"
SRV = "_grpc._tcp.eu.test"


def named(realm: Realm, replica: str, name: str) -> None:
    """Give a store a certificate for a name of DNS, and for no address."""
    subject = Subject(name=name, uris=(spiffe(realm.name, f"store/{replica}"),), dns=(name,))
    realm.stores[replica].write(realm.authority.issue(subject, LEAF_LIFETIME))


def port(running: RunningStore) -> str:
    return running.address.rpartition(":")[2]


@asynccontextmanager
async def scene(directory: Path) -> AsyncIterator[tuple[DnsServer, RunningStore, RunningStore, Realm]]:
    realm = Realm("eu", directory / "eu", Authority("eu CA"))
    for replica in ("a", "b"):
        named(realm, replica, HOST)
    async with (
        dns_server() as server,
        store(directory, realm, "a") as one,
        store(directory, realm, "b") as other,
    ):
        yield server, one, other, realm


@asynccontextmanager
async def asked(
    directory: Path, server: DnsServer, items: list[dict[str, Any]], *flags: str
) -> AsyncIterator[Querier]:
    path = directory / "endpoints.yaml"
    path.write_text(yaml.safe_dump(items))
    given = [f"--endpoints.config={path}"] if items else []
    given += ["--store.sd-dns-interval=200ms", f"--store.sd-dns-server={server.address}", *flags]
    async with querier(directory, given) as running:
        yield running


async def healthy(running: Querier) -> list[str]:
    return sorted(
        row.address for row in await running.stores() if row.connected_at is not None and not row.last_error
    )


async def test_the_host_that_was_written_is_verified(tmp_path: Path) -> None:
    async with scene(tmp_path) as (server, one, _, realm):
        server.records[HOST, "A"] = ["127.0.0.1"]
        server.records["other.eu.test", "A"] = ["127.0.0.1"]
        config = realm.tls_config()
        items = [
            {"name": "eu", "tls_config": config, "endpoints": [f"dns+{HOST}:{port(one)}"], "mode": "strict"},
        ]
        async with asked(tmp_path, server, items) as running:
            address = f"127.0.0.1:{port(one)}"
            await until(lambda: healthy(running), lambda found: found == [address], "the endpoint is there")
            server.rcode = dns.rcode.SERVFAIL
            failures = "thanos_query_endpoints_dns_failures_total"
            await until(lambda: running.metric(failures), lambda count: count > 1, "failures")
            assert await healthy(running) == [address]
            server.rcode = dns.rcode.NOERROR
            server.records[HOST, "A"] = []
            await until(running.stores, lambda rows: rows == [], "an address that DNS took away")
        items[0]["endpoints"] = [f"dns+other.eu.test:{port(one)}"]
        async with asked(tmp_path, server, items) as running:
            (row,) = await until(
                running.stores, lambda rows: rows and rows[0].last_error, "another name is refused"
            )
            assert "other.eu.test" in row.last_error


async def test_the_target_of_an_srv_record_is_verified(tmp_path: Path) -> None:
    async with scene(tmp_path) as (server, one, other, realm):
        server.records[HOST, "A"] = ["127.0.0.1"]
        server.records[SRV, "SRV"] = [f"0 0 {port(each)} {HOST}." for each in (one, other)]
        items = [{"name": "eu", "tls_config": realm.tls_config(), "endpoints": [f"dnssrv+{SRV}"]}]
        addresses = sorted(f"127.0.0.1:{port(each)}" for each in (one, other))
        async with asked(tmp_path, server, items) as running:
            await until(lambda: healthy(running), lambda found: found == addresses, "both are there")


async def test_a_name_can_be_one_endpoint_whose_addresses_take_turns(tmp_path: Path) -> None:
    async with scene(tmp_path) as (server, one, other, realm):
        server.records[HOST, "A"] = ["127.0.0.1"]
        server.records[SRV, "SRV"] = [f"0 0 {port(each)} {HOST}." for each in (one, other)]
        config = realm.tls_config()
        flags = [
            f"--endpoint-group=dnssrv+{SRV}", "--secure", f"--cert={config['cert_file']}",
            f"--key={config['key_file']}", f"--caCert={config['ca_file']}",
        ]  # fmt: skip
        async with asked(tmp_path, server, [], *flags) as running:
            (row,) = await until(
                running.stores,
                lambda rows: rows and rows[0].connected_at is not None and not rows[0].last_error,
                "one endpoint",
            )
            assert row.address == f"dnssrv+{SRV}"
            # The health check takes turns as all calls do.
            handshakes = "crossrealm_client_handshakes_total"
            await until(lambda: running.metric(handshakes, result="ok"), lambda made: made >= 2, "turns")
            server.records[SRV, "SRV"] = [f"0 0 {port(one)} {HOST}.", f"0 0 1 {HOST}."]

            async def added() -> bool:
                return "address=127.0.0.1:1" in running.log()

            await until(added, bool, "an address where nobody listens")
            # Calls that it would have got go to the other one.
            before = await running.metric("grpc_client_handled_total", grpc_code="OK")
            ok = "grpc_client_handled_total"
            await until(lambda: running.metric(ok, grpc_code="OK"), lambda now: now > before + 2, "calls")
            (row,) = await running.stores()
            assert not row.last_error
