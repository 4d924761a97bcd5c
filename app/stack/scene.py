"""The stack: three realms with real Prometheus servers, a sidecar each, and the querier over them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from app.config.durations import format_duration
from app.demo.pki import Authority
from app.demo.processes import Child, free_address, running_server
from app.demo.realms import Front, Realm, write_endpoints
from app.stack.prometheus import PrometheusServer
from app.stack.target import target

MEMBERS: Sequence[tuple[str, str]] = (("eu", "a"), ("eu", "b"), ("us", "a"), ("local", "a"))
"""Realm and replica of each Prometheus; the two of eu are an HA pair."""
PLAINTEXT = "local"
"""The realm without certificates."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One Prometheus with its sidecar.

    :param grpc_address, http_address: of the sidecar.
    """

    realm: str
    replica: str
    prometheus: PrometheusServer
    grpc_address: str
    http_address: str

    @property
    def external_labels(self) -> Mapping[str, str]:
        return self.prometheus.external_labels


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A querier that runs.

    :param name: ``querier``, or ``querier of eu``.
    """

    name: str
    child: Child
    grpc_address: str
    http_address: str


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """All that runs.

    :param realms: those with certificates.
    :param leaves: queriers between the global one and the sidecars, by realm.
    """

    directory: Path
    realms: Mapping[str, Realm]
    front: Front
    members: Mapping[tuple[str, str], Member]
    leaves: Mapping[str, Server]
    querier: Server
    endpoints: Path
    _running: dict[tuple[str, str], AsyncExitStack]

    async def kill(self, realm: str, replica: str) -> None:
        """End one Prometheus; its sidecar goes on."""
        await self._running.pop((realm, replica)).aclose()

    async def start(self, realm: str, replica: str) -> None:
        """Start it again with the data that it has."""
        exits = AsyncExitStack()
        member = self.members[realm, replica]
        await exits.enter_async_context(member.prometheus.running(self.directory / "logs"))
        self._running[realm, replica] = exits


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param stacked: eu gets a querier of its own, which the global one asks instead of the sidecars.
    :param members: realm and replica of each Prometheus.
    :param heartbeat: seconds between two looks of a sidecar at its Prometheus.
    :param lifetime: of leaves, in seconds.
    :param querier_flags: for the global querier, beside its addresses and certificates.
    :param honor_labels: jobs whose series keep labels of their own.
    """

    stacked: bool = False
    members: Sequence[tuple[str, str]] = MEMBERS
    heartbeat: float = 30.0
    lifetime: float = 86_400.0
    querier_flags: Sequence[str] = ()
    honor_labels: frozenset[str] = frozenset()


@asynccontextmanager
async def running_stack(root: Path, options: Options | None = None) -> AsyncIterator[Stack]:
    """The whole stack, entered when everything is ready.

    :raises ChildError: something did not come up; with the end of its log.
    """
    options = options or Options()
    logs = root / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(realm for realm, _ in options.members)
    realms = await anyio.to_thread.run_sync(
        _realms, root, options, [name for name in names if name != PLAINTEXT]
    )
    front = Front(root / "front", Authority("front CA"), lifetime=options.lifetime)
    running: dict[tuple[str, str], AsyncExitStack] = {}
    async with AsyncExitStack() as stack:
        example = await stack.enter_async_context(target())
        members = {key: _member(root, key, example, options) for key in options.members}
        stack.push_async_callback(_close_all, running)
        for key, member in members.items():
            running[key] = AsyncExitStack()
            await running[key].enter_async_context(member.prometheus.running(logs))
        async with anyio.create_task_group() as tasks:
            for member in members.values():
                tasks.start_soon(_enter_sidecar, stack, member, realms.get(member.realm), options, logs)
        leaves: dict[str, Server] = {}
        if options.stacked:
            leaves["eu"] = await _leaf(stack, root, realms["eu"], members, options, logs)
        endpoints = root / "endpoints.yaml"
        groups = {}
        for name in names:
            config = realms[name].tls_config() if name in realms else None
            own = [each.grpc_address for each in members.values() if each.realm == name]
            groups[name] = (config, [leaves[name].grpc_address] if name in leaves else own)
        write_endpoints(endpoints, groups)
        flags = [f"--endpoints.config={endpoints}", *front.flags(), *options.querier_flags]
        querier = await _querier(stack, "querier", flags, logs)
        yield Stack(
            directory=root,
            realms=realms,
            front=front,
            members=members,
            leaves=leaves,
            querier=querier,
            endpoints=endpoints,
            _running=running,
        )


async def _close_all(running: dict[tuple[str, str], AsyncExitStack]) -> None:
    while running:
        _, exits = running.popitem()
        await exits.aclose()


def _realms(root: Path, options: Options, names: Sequence[str]) -> dict[str, Realm]:
    """Each with a CA of its own, and a leaf for each sidecar (and for a querier in the realm, ``q``)."""
    made = {}
    for name in names:
        replicas = [replica for realm, replica in options.members if realm == name]
        if options.stacked and name == "eu":
            replicas.append("q")
        authority = Authority(f"{name} CA", options.lifetime)
        made[name] = Realm(name, root / name, authority, replicas=replicas, lifetime=options.lifetime)
    return made


def _member(root: Path, key: tuple[str, str], example: str, options: Options) -> Member:
    realm, replica = key
    http_address = free_address()
    return Member(
        realm=realm,
        replica=replica,
        prometheus=PrometheusServer(
            name=f"prometheus-{realm}-{replica}",
            directory=root / f"prometheus-{realm}-{replica}",
            address=free_address(),
            external_labels={"realm": realm, "replica": replica},
            targets={"example": [example], "sidecar": [http_address]},
            honor_labels=options.honor_labels,
        ),
        grpc_address=free_address(),
        http_address=http_address,
    )


async def _enter_sidecar(
    stack: AsyncExitStack, member: Member, realm: Realm | None, options: Options, logs: Path
) -> None:
    flags = [
        f"--prometheus.url={member.prometheus.url}",
        f"--prometheus.get_config_interval={format_duration(options.heartbeat)}",
        f"--grpc-address={member.grpc_address}",
        *(listener_flags(realm, member.replica) if realm is not None else ()),
    ]
    name = f"sidecar-{member.realm}-{member.replica}"
    await stack.enter_async_context(
        running_server("sidecar", flags, logs, http_address=member.http_address, name=name)
    )


def listener_flags(realm: Realm, replica: str) -> list[str]:
    """mTLS of a listener in `realm`."""
    identity = realm.stores[replica]
    return [
        f"--grpc-server-tls-cert={identity.cert_file}",
        f"--grpc-server-tls-key={identity.key_file}",
        f"--grpc-server-tls-client-ca={realm.store_trust.ca_file}",
        "--tls.drain-window=2s",
    ]


async def _leaf(
    stack: AsyncExitStack,
    root: Path,
    realm: Realm,
    members: Mapping[tuple[str, str], Member],
    options: Options,
    logs: Path,
) -> Server:
    """A querier inside a realm, over its sidecars."""
    endpoints = root / f"endpoints-{realm.name}.yaml"
    own = [member.grpc_address for member in members.values() if member.realm == realm.name]
    write_endpoints(endpoints, {realm.name: (realm.tls_config(), own)})
    flags = [f"--endpoints.config={endpoints}", *listener_flags(realm, "q")]
    return await _querier(stack, f"querier-{realm.name}", flags, logs)


async def _querier(stack: AsyncExitStack, name: str, flags: Sequence[str], logs: Path) -> Server:
    grpc_address, http_address = free_address(), free_address()
    child = await stack.enter_async_context(
        running_server(
            "query",
            [f"--grpc-address={grpc_address}", *flags],
            logs,
            http_address=http_address,
            name=name,
        )
    )
    return Server(name=name, child=child, grpc_address=grpc_address, http_address=http_address)
