"""What is there before the first call: the PKI, six stores as processes, and the real querier."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import msgspec

from app.demo import store_options
from app.demo.dataset import SPAN, Dataset, Shape
from app.demo.pki import Authority
from app.demo.processes import free_address, running_querier, running_store
from app.demo.realms import REPLICAS, Front, Realm
from app.demo.store_options import StoreOptions

LOCAL = "local"
SERIES_PER_STORE = 240
CONNECTION_AGE = 3.0
"""Seconds after which every listener closes a connection."""
DRAIN_WINDOW = 2.0
"""Seconds within which connections made with renewed material are replaced."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What was built before the first call: files, and where the querier listens."""

    eu: Realm
    us: Realm
    front: Front
    shape: Shape
    grpc_address: str
    http_address: str

    @property
    def http_url(self) -> str:
        return f"http://{self.http_address}"

    def datasets(self) -> list[Dataset]:
        realms = (self.eu.name, self.us.name, LOCAL)
        return [Dataset(realm, replica, self.shape) for realm in realms for replica in REPLICAS]


def build_stage(root: Path) -> Stage:
    """Make the PKI under `root` and choose where the querier listens."""
    first, second = Authority("eu CA 1"), Authority("us CA 1")
    # The last sample is a minute old: what an operator would look at.
    start = (int(time.time()) - 60) // 60 * 60_000 - SPAN
    return Stage(
        eu=Realm("eu", root / "eu", first),
        us=Realm("us", root / "us", second),
        front=Front(root / "querier", first),
        shape=Shape(series=SERIES_PER_STORE, start=start),
        grpc_address=free_address(),
        http_address=free_address(),
    )


def _store_options(stage: Stage, realm: Realm | None, replica: str) -> StoreOptions:
    options = StoreOptions(
        realm=realm.name if realm else LOCAL,
        replica=replica,
        max_connection_age=CONNECTION_AGE,
        drain_window=DRAIN_WINDOW,
        shape=stage.shape,
    )
    if realm is None:
        return options
    identity = realm.stores[replica]
    return msgspec.structs.replace(
        options,
        cert_file=identity.cert_file,
        key_file=identity.key_file,
        client_ca_file=realm.store_trust.ca_file,
    )


async def _keep_store(
    options: StoreOptions,
    logs: Path,
    *,
    task_status: anyio.abc.TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    name = f"store-{options.realm}-{options.replica}"
    async with running_store(name, store_options.arguments(options), logs) as (child, addresses):
        task_status.started(addresses[0])
        await child.watch()


async def start_stores(
    tasks: anyio.abc.TaskGroup, stage: Stage, logs: Path
) -> dict[str, tuple[Mapping[str, Any] | None, list[str]]]:
    """All six at the same time; the groups for ``endpoints.yaml``."""
    realms = {stage.eu.name: stage.eu, stage.us.name: stage.us, LOCAL: None}
    addresses: dict[tuple[str, str], str] = {}

    async def start(name: str, realm: Realm | None, replica: str) -> None:
        addresses[name, replica] = await tasks.start(_keep_store, _store_options(stage, realm, replica), logs)

    async with anyio.create_task_group() as starting:
        for name, realm in realms.items():
            for replica in REPLICAS:
                starting.start_soon(start, name, realm, replica)
    return {
        name: (
            realm.tls_config(pinned=realm is stage.us) if realm else None,
            [addresses[name, replica] for replica in REPLICAS],
        )
        for name, realm in realms.items()
    }


async def keep_querier(
    stage: Stage,
    endpoints: Path,
    logs: Path,
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Run the querier; started when it is ready.

    :raises ChildError: it did not come up, or ended by itself.
    """
    flags = [
        f"--endpoints.config={endpoints}",
        f"--grpc-address={stage.grpc_address}",
        *stage.front.flags(),
        f"--grpc-server-max-connection-age={CONNECTION_AGE:.0f}s",
        f"--tls.drain-window={DRAIN_WINDOW:.0f}s",
        "--grpc-grace-period=5s",
        "--http-grace-period=1s",
    ]
    async with running_querier(flags, logs, http_address=stage.http_address) as child:
        task_status.started()
        await child.watch()
