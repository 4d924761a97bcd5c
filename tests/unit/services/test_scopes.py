import pytest

from app.config.model import IdentityMatchers
from app.endpoints.model import Api, Labels, Snapshot
from app.errors import CallError, Code
from app.fanout.scope import EVERYTHING, scope_of
from app.rpc.model import Peer, PeerTls
from app.services.info import describe
from app.services.scopes import Scopes
from app.tls.model import CertificateInfo
from tests.unit.services.test_info import label_sets, view

EU, OPS = "spiffe://eu.example/querier", "ops.example"
GIVEN = [
    IdentityMatchers(EU, (("=", "realm", "eu"),)),
    IdentityMatchers(OPS, (("!=", "secret", "yes"), ("=~", "zone", "a|b"))),
]


def peer(*sans: str) -> Peer:
    certificate = CertificateInfo(
        subject="CN=a", issuer="CN=b", serial="1", sans=sans, not_before=0, not_after=1, fingerprint=""
    )
    tls = PeerTls(version="TLSv1.3", cipher="", certificate=certificate, local=None, generation=1)
    return Peer(address="127.0.0.1:1", tls=tls)


def test_an_identity_brings_its_matchers() -> None:
    scopes = Scopes(GIVEN)
    assert scopes.of(peer(f"URI:{EU}")).texts == (("=", "realm", "eu"),)
    assert scopes.of(peer("DNS:OPS.example")).texts == GIVEN[1].matchers
    assert scopes.of(peer("URI:spiffe://us.example/querier", "DNS:eu.example")) is EVERYTHING


def test_of_several_identities_all_matchers_count() -> None:
    found = Scopes(GIVEN).of(peer("DNS:other", f"URI:{EU}", f"DNS:{OPS}"))
    assert found.texts == (*GIVEN[0].matchers, *GIVEN[1].matchers)


def test_without_a_certificate_nothing_is_shown() -> None:
    plain = Peer(address="127.0.0.1:1", tls=None)
    with pytest.raises(CallError) as caught:
        Scopes(GIVEN).of(plain)
    assert caught.value.code is Code.PERMISSION_DENIED
    assert Scopes().of(plain) is EVERYTHING


EU_SET: Labels = (("realm", "eu"),)
US_SET: Labels = (("realm", "us"),)


def test_info_leaves_out_what_contradicts() -> None:
    snapshot = Snapshot(
        (view(EU_SET, US_SET, times=(10, 20)), view(US_SET, times=(0, 99)), view(times=(12, 25)))
    )
    answer = describe(snapshot, (), scope_of([("=", "realm", "eu")]))
    assert label_sets(answer) == [EU_SET]
    assert answer.store is not None
    assert (answer.store.min_time, answer.store.max_time) == (10, 25)
    assert len(answer.store.tsdb_infos) == 1
    assert (answer.metric_metadata, answer.status) == (None, None)
    assert answer.query is not None
    whole = describe(snapshot, ())
    assert label_sets(whole) == [EU_SET, US_SET]
    assert whole.status is not None


def test_info_of_a_querier_whose_own_labels_contradict_is_of_nothing() -> None:
    snapshot = Snapshot((view(EU_SET, apis=frozenset({Api.STORE})),))
    answer = describe(snapshot, (("cluster", "a"),), scope_of([("=", "cluster", "b")]))
    assert label_sets(answer) == [(("cluster", "a"),)]
    assert answer.store is not None
    assert answer.store.tsdb_infos == []
    allowed = describe(snapshot, (("cluster", "a"),), scope_of([("=", "cluster", "a")]))
    assert allowed.status is not None
