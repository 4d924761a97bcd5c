from pathlib import Path

import msgspec
import pytest
import yaml

from app.demo.board import EndpointRow
from app.demo.pki import Authority
from app.demo.realms import Front, Realm, write_endpoints


@pytest.fixture
def eu(tmp_path: Path) -> Realm:
    return Realm("eu", tmp_path / "eu", Authority("eu CA"))


def _rows(realm: Realm) -> list[EndpointRow]:
    """As the querier shows them when everything on disk is in use."""
    assert realm.querier.pair is not None
    return [
        EndpointRow(
            address=replica,
            group=realm.name,
            version="TLSv1.3",
            identity="",
            serial=identity.pair.serial if identity.pair else "",
            client_serial=realm.querier.pair.serial,
            not_after=None,
            connected_at=100.0,
            handshakes=1,
            calls=1,
            failures=0,
            last_error="",
        )
        for replica, identity in realm.stores.items()
    ]


def test_what_is_on_disk_is_in_use(eu: Realm) -> None:
    rows = _rows(eu)
    assert eu.in_use(rows)
    assert eu.in_use([*rows, msgspec.structs.replace(rows[0], group="us", serial="")])
    assert not eu.in_use(rows, since=100.0)
    assert not eu.in_use(rows[:1])
    assert not eu.in_use([rows[0], msgspec.structs.replace(rows[1], connected_at=None)])


def test_a_leaf_that_was_renewed_on_either_side_is_not_in_use_yet(eu: Realm) -> None:
    before = _rows(eu)
    eu.renew_store("a")
    assert not eu.in_use(before)
    before = _rows(eu)
    assert eu.in_use(before)
    eu.renew_querier()
    assert not eu.in_use(before)


def test_the_endpoints_file_names_the_files(eu: Realm, tmp_path: Path) -> None:
    path = tmp_path / "endpoints.yaml"
    write_endpoints(path, {"eu": (eu.tls_config(pinned=True), ["h:1"]), "local": (None, ["h:2"])})
    secure, plain = yaml.safe_load(path.read_text())
    assert secure["tls_config"]["peer_identities"] == [
        "spiffe://eu.example/store/a",
        "spiffe://eu.example/store/b",
    ]
    assert Path(secure["tls_config"]["ca_file"]).read_bytes() == eu.authority.pem
    assert plain == {"name": "local", "endpoints": ["h:2"]}


def test_the_front_has_new_leaves_of_its_own(tmp_path: Path) -> None:
    front = Front(tmp_path, Authority("front CA"))
    before = (front.listener.pair, front.client.pair)
    assert front.renew_listener() != before[0]
    assert front.client.pair == before[1]
    assert front.renew_client() != before[1]
