"""What trust, dates and earlier identities do to a provider: who gets in, and when nobody does."""

import os
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from app.errors import MaterialError
from app.tls.model import Change, Material, Role, TlsFiles, TlsPolicy
from tests.pki import CA, DAY, Leaf, replace
from tests.unit.tls.following import Clock, Realm, following

pytestmark = pytest.mark.anyio

CA1, CA2 = CA("ca 1"), CA("ca 2")


@pytest.fixture
def realm(tmp_path: Path) -> Realm:
    made = Realm(tmp_path / "eu")
    made.identity(CA1.issue())
    made.trust(CA1)
    return made


def shown(leaf: Leaf) -> list[bytes]:
    certificates = x509.load_pem_x509_certificates(leaf.chain_pem)
    return [each.public_bytes(serialization.Encoding.DER) for each in certificates]


def serial(material: Material | None) -> str:
    assert material is not None and material.identity is not None
    return material.identity.serial


async def test_a_whole_ca_rotates_by_overlap(realm: Realm) -> None:
    changes: list[Change] = []
    async with following() as found:
        provider = found.provider(realm.files, Role.SERVER)
        await provider.fresh()
        provider.subscribe(changes.append)
        realm.trust(CA1, CA2)
        await provider.fresh()
        realm.identity(CA2.issue())
        await provider.fresh()
        assert provider.judge(shown(CA1.issue())) is None
        realm.trust(CA2)
        await provider.fresh()
        assert provider.judge(shown(CA1.issue())) is not None
        assert provider.judge(shown(CA2.issue())) is None
    assert [(each.identity_changed, each.trust_changed, each.trust_shrunk) for each in changes] == [
        (False, True, False),
        (True, False, False),
        (False, True, True),
    ]


async def test_trust_shrinks_although_our_own_identity_has_expired(realm: Realm) -> None:
    clock = Clock(time.time())
    realm.identity(CA1.issue(not_after=clock.now + 100))
    realm.trust(CA1, CA2)
    changes: list[Change] = []
    async with following(clock) as found:
        provider = found.provider(realm.files)
        await provider.fresh()
        provider.subscribe(changes.append)
        clock.now += 200
        with pytest.raises(MaterialError, match="has expired") as caught:
            await provider.fresh()
        assert caught.value.reason == "expired"
        assert provider.current() is None and provider.fallback() is None
        realm.trust(CA2)
        with pytest.raises(MaterialError):
            await provider.fresh()
        assert [each.trust_shrunk for each in changes] == [True]
        assert provider.judge(shown(CA1.issue())) is not None
        leaf = realm.identity(CA2.issue())
        assert serial(await provider.fresh()) == leaf.serial


async def test_what_was_refused_is_judged_again_when_its_date_comes(realm: Realm) -> None:
    clock = Clock(time.time())
    async with following(clock) as found:
        provider = found.provider(realm.files)
        old = await provider.fresh()
        leaf = realm.identity(CA1.issue(not_before=clock.now + 100, not_after=clock.now + DAY))
        assert await provider.fresh() is old
        clock.now += 101
        assert serial(await provider.fresh()) == leaf.serial


async def test_expiry_is_noticed_without_a_look(realm: Realm) -> None:
    clock = Clock(time.time())
    realm.identity(CA1.issue(not_after=clock.now + 100))
    async with following(clock) as found:
        provider = found.provider(realm.files)
        await provider.fresh()
        assert provider.current() is not None
        clock.now += 101
        assert provider.current() is None


async def test_the_reason_names_what_cannot_replace_the_expired(realm: Realm) -> None:
    clock = Clock(time.time())
    realm.identity(CA1.issue(not_after=clock.now + 100))
    async with following(clock) as found:
        provider = found.provider(realm.files)
        await provider.fresh()
        replace(Path(realm.files.key_file), CA1.issue().key_pem)
        await provider.fresh()
        clock.now += 101
        with pytest.raises(MaterialError, match=r"expired.*cannot replace it.*does not belong"):
            await provider.fresh()


async def test_an_expired_member_of_the_bundle_goes_and_the_last_one_closes(realm: Realm) -> None:
    clock = Clock(time.time())
    short, longer = CA("short", not_after=clock.now + 100), CA("longer", not_after=clock.now + 200)
    realm.trust(short, longer)
    changes: list[Change] = []
    async with following(clock) as found:
        provider = found.provider(realm.files)
        assert len((await provider.fresh()).trust) == 2
        provider.subscribe(changes.append)
        clock.now += 101
        assert len((await provider.fresh()).trust) == 1
        clock.now += 100
        with pytest.raises(MaterialError) as caught:
            await provider.fresh()
        assert caught.value.reason == "no_valid_ca"
        assert [each.trust_shrunk for each in changes] == [True, True]
        assert provider.judge(shown(longer.issue(not_after=clock.now + DAY))) is not None


async def test_the_life_of_a_crl(realm: Realm) -> None:
    clock = Clock(time.time())
    leaf = CA1.issue()
    realm.crls(CA1.crl(next_update=clock.now + 100))
    changes: list[Change] = []
    async with following(clock) as found:
        provider = found.provider(realm.files_with_crl, Role.SERVER)
        provider.subscribe(changes.append)
        first = await provider.fresh()
        assert provider.judge(shown(leaf)) is None
        realm.trust(CA1, CA2)  # no CRL of the second: refused, so that no peer of it is locked out
        assert await provider.fresh() is first
        assert provider.status().trust.refused_reason == "crl_missing"
        realm.crls(CA1.crl([leaf.certificate], next_update=clock.now + 100), CA2.crl())
        second = await provider.fresh()
        assert len(second.trust) == 2
        assert changes[-1].trust_shrunk
        assert "revoked" in (provider.judge(shown(leaf)) or "")
        assert provider.status().crl_next_update == pytest.approx(clock.now + 100, abs=1)
        clock.now += 101
        await provider.fresh()  # the second CA is still good
        assert provider.status().trust.refused_reason == "crl_stale"
        assert changes[-1].trust_shrunk
        assert "nextUpdate" in (provider.judge(shown(CA1.issue())) or "")
        assert provider.judge(shown(CA2.issue())) is None
        clock.now += DAY
        with pytest.raises(MaterialError) as caught:
            await provider.fresh()
        assert caught.value.reason == "crl_stale"
        realm.crls(CA1.crl(next_update=clock.now + DAY), CA2.crl(next_update=clock.now + DAY))
        await provider.fresh()


async def test_fallback_is_an_earlier_identity_with_the_trust_of_now(realm: Realm) -> None:
    clock = Clock(time.time())
    first = realm.identity(CA1.issue(not_after=clock.now + 100))
    async with following(clock) as found:
        provider = found.provider(realm.files)
        accepted = await provider.fresh()
        assert provider.fallback() is None
        second = realm.identity(CA2.issue())
        await provider.fresh()
        assert serial(provider.fallback()) == first.serial
        realm.trust(CA2)
        now = await provider.fresh()
        fallback = provider.fallback()
        assert fallback is not None and fallback.trust_digest == now.trust_digest
        realm.identity(CA2.issue())
        await provider.fresh()
        assert serial(provider.fallback()) == second.serial
        assert serial(provider.fallback(accepted.identity_digest)) == first.serial
        clock.now += 101
        assert serial(provider.fallback(accepted.identity_digest)) == second.serial


async def test_a_listener_keeps_no_earlier_identity(realm: Realm) -> None:
    async with following() as found:
        provider = found.provider(realm.files, Role.SERVER)
        await provider.fresh()
        realm.identity(CA1.issue())
        await provider.fresh()
        assert provider.fallback() is None


async def test_admission_after_the_handshake(realm: Realm) -> None:
    """A client can hold back its ClientHello while the CA that let it in is removed."""
    async with following() as found:
        provider = found.provider(realm.files, Role.SERVER)
        material = await provider.fresh()
        chain = shown(CA1.issue())
        assert provider.admit(material, chain) is None
        realm.trust(CA2)
        reason = provider.admit(material, chain)
        assert reason is not None and "no CA in" in reason
        assert provider.current() is material  # admission judges; swapping is for the looks
        realm.trust(CA1, CA2)
        assert provider.admit(material, chain) is None
        os.unlink(realm.files.ca_file)
        assert provider.admit(material, chain) is None  # last good wins
        realm.trust(CA2)
        await provider.fresh()
        assert provider.admit(material, chain) is not None


async def test_admission_by_pinned_identity(realm: Realm) -> None:
    policy = TlsPolicy(peer_identities=("spiffe://eu/querier", "Querier.example"))
    async with following() as found:
        provider = found.provider(realm.files, Role.SERVER, policy)
        material = await provider.fresh()
        for leaf, welcome in (
            (CA1.issue(uri=["spiffe://eu/querier"]), True),
            (CA1.issue(dns=["querier.example"]), True),
            (CA1.issue(dns=["*.example"]), False),
            (CA1.issue(uri=["spiffe://eu/querier/2"]), False),
        ):
            assert (provider.admit(material, shown(leaf)) is None) is welcome


async def test_a_client_without_certificate_or_ca() -> None:
    async with following() as found:
        provider = found.provider(TlsFiles())
        material = await provider.fresh()
        assert material.identity is None and material.trust == ()
        assert provider.judge(shown(CA1.issue())) is None
        old = CA1.issue(not_before=time.time() - 2 * DAY, not_after=time.time() - DAY)
        assert provider.judge(shown(old)) is not None
        assert provider.judge([]) is not None
