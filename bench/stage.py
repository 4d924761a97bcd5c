"""What every measurement needs: a PKI on disk, the querier as a process, and endpoints as processes."""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from app.demo.pki import Authority, Identity, Subject, Trust
from app.demo.processes import Child, free_address, running, running_querier
from app.demo.realms import write_endpoints

LIFETIME = 86_400.0


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of one certificate for all sides, and of the CA that signed it."""

    cert_file: str
    key_file: str
    ca_file: str

    def read(self) -> tuple[bytes, bytes, bytes]:
        """CA, key, certificate, in the order in which grpcio wants them."""
        return tuple(Path(name).read_bytes() for name in (self.ca_file, self.key_file, self.cert_file))  # type: ignore[return-value]

    def flags(self) -> list[str]:
        return [f"--cert={self.cert_file}", f"--key={self.key_file}", f"--ca={self.ca_file}"]

    def tls_config(self) -> dict[str, str]:
        return {"cert_file": self.cert_file, "key_file": self.key_file, "ca_file": self.ca_file}


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """The querier, when it is ready."""

    child: Child
    grpc_address: str
    http_url: str


@asynccontextmanager
async def stage() -> AsyncIterator[tuple[Path, Material]]:
    """A directory, gone afterwards, with a certificate for ``127.0.0.1``."""
    with TemporaryDirectory(prefix="crossrealm-bench-") as name:
        root = Path(name)
        authority = Authority("bench CA", LIFETIME)
        subject = Subject(
            name="bench", uris=("spiffe://bench.example/all",), dns=("localhost",), ips=("127.0.0.1",)
        )
        identity, trust = Identity(root / "identity", subject), Trust(root / "trust")
        identity.write(authority.issue(subject, LIFETIME))
        trust.write([authority])
        yield root, Material(cert_file=identity.cert_file, key_file=identity.key_file, ca_file=trust.ca_file)


@asynccontextmanager
async def program(
    module: str, name: str, flags: Sequence[str], logs: Path
) -> AsyncIterator[tuple[Child, list[str]]]:
    """``python -m MODULE`` and the addresses that it prints, as a JSON list, on its first line."""
    async with running(name, [sys.executable, "-m", module, *flags], logs, announces=True) as child:
        yield child, msgspec.json.decode(await child.first_line(60.0), type=list[str])


async def official_stores(
    stack: AsyncExitStack, root: Path, material: Material, count: int, series: int, batch: int
) -> list[str]:
    """`count` stores on grpcio, each with `series` series of its own; they end with `stack`."""
    addresses = []
    for index in range(count):
        flags = [f"--index={index}", f"--of={count}", f"--series={series}", f"--batch={batch}"]
        _, found = await stack.enter_async_context(
            program("bench.official_store", f"store-{index}", [*flags, *material.flags()], root)
        )
        addresses.extend(found)
    return addresses


@asynccontextmanager
async def querier(
    root: Path,
    material: Material,
    addresses: Sequence[str],
    *,
    flags: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Running]:
    """``crossrealm query`` in front of `addresses`, mTLS on both sides."""
    endpoints = root / "endpoints.yaml"
    write_endpoints(endpoints, {"bench": (material.tls_config(), list(addresses))})
    grpc_address, http_address = free_address(), free_address()
    given = [
        f"--endpoints.config={endpoints}",
        f"--grpc-address={grpc_address}",
        f"--grpc-server-tls-cert={material.cert_file}",
        f"--grpc-server-tls-key={material.key_file}",
        f"--grpc-server-tls-client-ca={material.ca_file}",
        "--grpc-grace-period=1s",
        "--http-grace-period=1s",
        "--log.level=warn",
        *flags,
    ]
    async with AsyncExitStack() as stack:
        child = await stack.enter_async_context(
            running_querier(given, root, http_address=http_address, environment=environment)
        )
        yield Running(child=child, grpc_address=grpc_address, http_url=f"http://{http_address}")
