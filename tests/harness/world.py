"""Realms, stores and the querier in front of them, together."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec

from app.demo.answers import Question, questions
from app.demo.board import EndpointRow
from app.demo.dataset import Dataset, Shape
from app.demo.driver import Tally
from app.demo.pki import Authority
from app.demo.realms import LEAF_LIFETIME, REPLICAS, Front, Realm, write_endpoints
from app.demo.store_options import Faults
from tests.harness.load import caller, load
from tests.harness.querier import Querier, querier
from tests.harness.stores import SMALL, RunningStore, store

_POLL = 0.05

Group = tuple[Mapping[str, Any] | None, Sequence[str]]
"""`tls_config`, None for plaintext; addresses."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario plays in.

    :param stores: by (realm, replica).
    :param endpoints: ``endpoints.yaml``.
    :param groups: what is in it at the start: name -> (`tls_config` or None, addresses).
    """

    directory: Path
    realms: Mapping[str, Realm]
    front: Front | None
    stores: Mapping[tuple[str, str], RunningStore]
    endpoints: Path
    groups: Mapping[str, Group]
    querier: Querier

    def write_groups(self, groups: Mapping[str, Group]) -> None:
        """Put another ``endpoints.yaml`` in place, in one rename."""
        temporary = self.endpoints.with_suffix(".tmp")
        write_endpoints(temporary, groups)
        temporary.rename(self.endpoints)

    @property
    def datasets(self) -> list[Dataset]:
        return [each.dataset for each in self.stores.values()]

    def questions(self) -> list[Question]:
        """A round over all stores, with the right answers."""
        return questions(self.datasets)

    @asynccontextmanager
    async def load(self, *, rate: float = 200.0, workers: int = 8) -> AsyncIterator[Tally]:
        """Our own client asks the round again and again; one call has ended when the scope is entered."""
        async with (
            caller(self.querier.grpc_address, self.front) as channel,
            load(channel, self.questions(), rate=rate, workers=workers) as tally,
        ):
            with anyio.fail_after(30):
                await tally.begun.wait()
            yield tally

    async def until(
        self, holds: Callable[[Sequence[EndpointRow]], bool], *, limit: float, what: str = "the condition"
    ) -> None:
        """Wait until `holds` of the querier's endpoints.

        :param limit: seconds.
        :raises AssertionError: it does not; with the last rows.
        """
        found: list[EndpointRow] = []
        with anyio.move_on_after(limit):
            while True:
                found = await self.querier.stores()
                if holds(found):
                    return
                await anyio.sleep(_POLL)
        raise AssertionError(f"{what}: not within {limit} s: {found}")

    async def in_use(self, realm: Realm, *, limit: float = 20.0) -> None:
        """Wait until every connection of `realm` shows the leaves that are on disk, on both sides."""
        await self.until(realm.in_use, limit=limit, what=f"new certificates of {realm.name} in use")

    async def renew(self, realm: Realm, *, limit: float = 20.0) -> None:
        """New leaves and keys on both sides of `realm`, in use when this returns."""
        realm.renew_querier()
        for replica in realm.stores:
            realm.renew_store(replica)
        await self.in_use(realm, limit=limit)

    async def replace_authority(self, realm: Realm, *, limit: float = 20.0) -> None:
        """Old and new trusted together, new leaves in use, then the old one removed on both sides."""
        old, new = realm.authority, Authority(f"{realm.name} CA {secrets.token_hex(4)}")
        realm.trust([old, new])
        realm.authority = new
        await self.renew(realm, limit=limit)
        realm.trust([new])


@asynccontextmanager
async def world(
    directory: Path,
    *,
    realms: Sequence[str] = ("eu", "us"),
    plaintext: Sequence[str] = (),
    replicas: Sequence[str] = REPLICAS,
    flags: Iterable[str] = (),
    secure_front: bool = True,
    shape: Shape = SMALL,
    faults: Mapping[tuple[str, str], Faults] | None = None,
    max_connection_age: float = 0.0,
    drain_window: float = 2.0,
    lifetime: float = LEAF_LIFETIME,
) -> AsyncIterator[World]:
    """Stores in `realms` (mTLS, a CA each) and `plaintext` groups, and the querier in front, ready.

    :param flags: for the querier, beside its addresses, certificates, endpoints and drain window.
    :param faults: by (realm, replica).
    :param max_connection_age: of the stores' connections, in seconds; 0: without limit.
    :param lifetime: of leaves, in seconds.
    """
    made = {
        name: Realm(name, directory / name, Authority(f"{name} CA"), replicas=replicas, lifetime=lifetime)
        for name in realms
    }
    front = Front(directory / "front", Authority("front CA"), lifetime=lifetime) if secure_front else None
    stores: dict[tuple[str, str], RunningStore] = {}
    async with AsyncExitStack() as stack:
        for name in (*realms, *plaintext):
            for replica in replicas:
                stores[name, replica] = await stack.enter_async_context(
                    store(
                        directory,
                        made.get(name, name),
                        replica,
                        shape=shape,
                        faults=(faults or {}).get((name, replica)),
                        max_connection_age=max_connection_age,
                        drain_window=drain_window,
                    )
                )
        endpoints = directory / "endpoints.yaml"
        groups: dict[str, Group] = {}
        for name in (*realms, *plaintext):
            tls_config = made[name].tls_config() if name in made else None
            groups[name] = (tls_config, [stores[name, replica].address for replica in replicas])
        write_endpoints(endpoints, groups)
        running = await stack.enter_async_context(
            querier(
                directory,
                [f"--endpoints.config={endpoints}", f"--tls.drain-window={drain_window:.0f}s", *flags],
                front=front,
            )
        )
        yield World(
            directory=directory,
            realms=made,
            front=front,
            stores=stores,
            endpoints=endpoints,
            groups=groups,
            querier=running,
        )
