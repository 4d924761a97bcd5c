"""The scene: the realms with their certificates on disk, and the files and flags that name them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from app.demo.board import EndpointRow
from app.demo.pki import Authority, Identity, Pair, Subject, Trust

LOOPBACK = "127.0.0.1"
REPLICAS = ("a", "b")
LEAF_LIFETIME = 600.0
"""Seconds. Every leaf is renewed long before; the table shows how the time runs."""


def spiffe(realm: str, workload: str) -> str:
    return f"spiffe://{realm}.example/{workload}"


class Realm:
    """One certificate realm: its stores, the querier's identity in it, and who trusts whom.

    Mutable: the authority that issues, and what is on disk; both by the methods here alone.

    :param root: its directory.
    :param lifetime: of leaves, in seconds.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        authority: Authority,
        *,
        replicas: Sequence[str] = REPLICAS,
        lifetime: float = LEAF_LIFETIME,
    ) -> None:
        self.name = name
        self.authority = authority
        self._lifetime = lifetime
        self.querier = Identity(root / "querier", Subject(name="querier", uris=(spiffe(name, "querier"),)))
        self.stores = {
            replica: Identity(
                root / f"store-{replica}",
                Subject(name=f"store {replica}", uris=(spiffe(name, f"store/{replica}"),), ips=(LOOPBACK,)),
            )
            for replica in replicas
        }
        # Each side verifies the other with its own copy of the bundle, as on two machines.
        self.querier_trust = Trust(root / "querier-trust")
        self.store_trust = Trust(root / "store-trust")
        self.trust([authority])
        self.renew_querier()
        for replica in replicas:
            self.renew_store(replica)

    def renew_querier(self) -> Pair:
        """A new leaf for the querier as a client of this realm."""
        return self._renew(self.querier)

    def renew_store(self, replica: str) -> Pair:
        return self._renew(self.stores[replica])

    def trust(self, authorities: Sequence[Authority]) -> None:
        """On both sides."""
        self.querier_trust.write(authorities)
        self.store_trust.write(authorities)

    def in_use(self, rows: Sequence[EndpointRow], since: float = 0.0) -> bool:
        """Whether every connection of this realm in `rows` shows the leaves that are on disk, on both sides.

        :param since: seconds since the epoch; connections made before do not count.
        """
        assert self.querier.pair is not None
        stores = {identity.pair.serial for identity in self.stores.values() if identity.pair is not None}
        ours = [row for row in rows if row.group == self.name]
        return len(ours) == len(stores) and all(
            row.connected_at is not None
            and row.connected_at > since
            and row.serial in stores
            and row.client_serial == self.querier.pair.serial
            for row in ours
        )

    def _renew(self, identity: Identity) -> Pair:
        pair = self.authority.issue(identity.subject, self._lifetime)
        identity.write(pair)
        return pair

    def tls_config(self, *, pinned: bool = False) -> dict[str, Any]:
        """The group's `tls_config`.

        :param pinned: only the realm's own stores are accepted, by their SPIFFE URIs.
        """
        written: dict[str, Any] = {
            "cert_file": self.querier.cert_file,
            "key_file": self.querier.key_file,
            "ca_file": self.querier_trust.ca_file,
        }
        if pinned:
            written["peer_identities"] = [spiffe(self.name, f"store/{replica}") for replica in self.stores]
        return written


class Front:
    """The querier's own listener and those who may call it. Mutable: what is on disk, by `renew_*`.

    :param lifetime: of leaves, in seconds.
    """

    def __init__(self, root: Path, authority: Authority, *, lifetime: float = LEAF_LIFETIME) -> None:
        self.authority = authority
        self._lifetime = lifetime
        self.listener = Identity(
            root / "listener",
            Subject(
                name="querier",
                uris=(spiffe("central", "querier"),),
                dns=("localhost",),
                ips=(LOOPBACK,),
            ),
        )
        self.client = Identity(root / "client", Subject(name="asker", uris=(spiffe("central", "asker"),)))
        self.trust = Trust(root / "trust")
        self.trust.write([authority])
        self.renew_listener()
        self.renew_client()

    def renew_listener(self) -> Pair:
        pair = self.authority.issue(self.listener.subject, self._lifetime)
        self.listener.write(pair)
        return pair

    def renew_client(self) -> Pair:
        pair = self.authority.issue(self.client.subject, self._lifetime)
        self.client.write(pair)
        return pair

    def flags(self) -> list[str]:
        """For ``crossrealm query``."""
        return [
            f"--grpc-server-tls-cert={self.listener.cert_file}",
            f"--grpc-server-tls-key={self.listener.key_file}",
            f"--grpc-server-tls-client-ca={self.trust.ca_file}",
        ]


def write_endpoints(path: Path, groups: Mapping[str, tuple[Mapping[str, Any] | None, Sequence[str]]]) -> None:
    """Write ``endpoints.yaml``.

    :param groups: name -> (`tls_config` or None for plaintext, addresses).
    """
    items = []
    for name, (tls_config, addresses) in groups.items():
        item: dict[str, Any] = {"name": name}
        if tls_config is not None:
            item["tls_config"] = dict(tls_config)
        items.append({**item, "endpoints": list(addresses)})
    path.write_text(yaml.safe_dump(items, sort_keys=False))
