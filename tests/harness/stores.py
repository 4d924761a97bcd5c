"""Synthetic stores as processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from app.demo import store_options
from app.demo.dataset import Dataset, Shape
from app.demo.processes import Child, running_store
from app.demo.realms import Realm
from app.demo.store_options import Faults, StoreOptions

SMALL = Shape(series=64)


class RunningStore(msgspec.Struct, frozen=True):
    """A store and what it holds. `addresses` has more than one where `count` was given."""

    child: Child
    addresses: tuple[str, ...]
    dataset: Dataset

    @property
    def address(self) -> str:
        return self.addresses[0]


@asynccontextmanager
async def store(
    directory: Path,
    realm: Realm | str,
    replica: str = "a",
    *,
    shape: Shape = SMALL,
    faults: Faults | None = None,
    address: str = "127.0.0.1:0",
    max_connection_age: float = 0.0,
    drain_window: float = 2.0,
    count: int = 1,
) -> AsyncIterator[RunningStore]:
    """A store, entered when it accepts calls.

    :param realm: with its certificates, or the name of one without: plaintext.
    :param max_connection_age, drain_window: seconds; an age of 0 is without limit.
    """
    logs = directory / "logs"
    logs.mkdir(exist_ok=True)
    realm_name = realm if isinstance(realm, str) else realm.name
    options = StoreOptions(
        realm=realm_name,
        replica=replica,
        address=address,
        count=count,
        max_connection_age=max_connection_age,
        drain_window=drain_window,
        shape=shape,
        faults=faults or Faults(),
    )
    if isinstance(realm, Realm):
        identity = realm.stores[replica]
        options = msgspec.structs.replace(
            options,
            cert_file=identity.cert_file,
            key_file=identity.key_file,
            client_ca_file=realm.store_trust.ca_file,
        )
    name = f"store-{realm_name}-{replica}"
    async with running_store(name, store_options.arguments(options), logs) as (child, addresses):
        yield RunningStore(child, addresses, Dataset(realm_name, replica, shape))
