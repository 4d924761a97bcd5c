"""What makes an identity, or a trust bundle with its CRLs, good enough to replace the last."""

import time
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.errors import MaterialError
from app.tls.files import SetContent
from app.tls.validation import Identity, Trust, parse_identity, parse_trust
from tests.pki import CA, DAY, Leaf

ROOT = CA("root")
MIDDLE = CA("middle", parent=ROOT)
NOW = time.time()


def identity(cert: bytes, key: bytes) -> Identity:
    return parse_identity("tls.crt", "tls.key", SetContent((cert, key), "digest"))


def trust(*cas: CA, crls: Sequence[bytes] | None = None) -> Trust:
    bundle = b"".join(each.pem for each in cas)
    if crls is None:
        return parse_trust("ca.crt", "", SetContent((bundle,), "digest"))
    return parse_trust("ca.crt", "ca.crl", SetContent((bundle, b"".join(crls)), "digest"))


def reason_of(cert: bytes, key: bytes) -> str:
    with pytest.raises(MaterialError) as caught:
        identity(cert, key)
    assert "tls." in str(caught.value)
    return caught.value.reason


def test_a_good_pair() -> None:
    leaf = MIDDLE.issue(uri=["spiffe://eu/querier"], dns=["a.example"])
    found = identity(leaf.chain_pem, leaf.key_pem)
    assert found.chain[0].serial == leaf.serial
    assert found.chain[0].sans == ("DNS:a.example", "URI:spiffe://eu/querier")
    assert len(found.chain) == 2
    assert found.fault_at(NOW) is None


def test_an_identity_never_shows_its_key() -> None:
    leaf = ROOT.issue()
    shown = repr(identity(leaf.chain_pem, leaf.key_pem))
    assert "PRIVATE" not in shown and leaf.key_pem.splitlines()[1].decode() not in shown


def test_the_leaf_may_be_of_any_authority() -> None:
    """A leaf is never checked against ca_file, which verifies the peer: here there is none to ask."""
    leaf = CA("somebody else").issue()
    assert identity(leaf.chain_pem, leaf.key_pem).fault_at(NOW) is None


def test_refusals_of_pairs() -> None:
    leaf, other = MIDDLE.issue(), MIDDLE.issue()
    nonsense = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert reason_of(leaf.chain_pem, other.key_pem) == "key_mismatch"
    assert reason_of(leaf.chain_pem[: len(leaf.chain_pem) // 4], leaf.key_pem) == "torn"
    assert reason_of(nonsense, leaf.key_pem) == "parse"
    assert reason_of(b"no certificate at all", leaf.key_pem) == "parse"
    assert reason_of(leaf.chain_pem, leaf.key_pem[: len(leaf.key_pem) // 2]) == "torn"
    assert reason_of(leaf.chain_pem, b"no key at all") == "parse"


def test_a_chain_in_the_wrong_order_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = ROOT.issue(key=key)
    assert reason_of(leaf.chain_pem + MIDDLE.pem, leaf.key_pem) == "chain_order"


def test_an_encrypted_key_is_refused_in_words() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = ROOT.issue(key=key)
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        pem = key.private_bytes(
            serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"password")
        )
        with pytest.raises(MaterialError, match="encrypted; store it without") as caught:
            identity(leaf.chain_pem, pem)
        assert caught.value.reason == "encrypted_key"


def test_forms_of_keys_that_tools_write() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = ROOT.issue(key=key)
    old = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    for pem in (old, parameters + old, leaf.chain_pem + leaf.key_pem, b"Bag Attributes\n" + leaf.key_pem):
        assert identity(leaf.chain_pem, pem).chain[0].serial == leaf.serial


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [(-2, -1, "expired"), (1, 2, "not_yet_valid"), (-1, 1, None)],
)
def test_dates_of_an_identity(before: float, after: float, reason: str | None) -> None:
    leaf = ROOT.issue(not_before=NOW + before * DAY, not_after=NOW + after * DAY)
    found = identity(leaf.chain_pem, leaf.key_pem)
    fault = found.fault_at(NOW)
    assert (fault.reason if fault else None) == reason
    assert found.fault_at(NOW + (before + after) / 2 * DAY) is None


def test_an_expired_intermediate_ends_the_identity() -> None:
    middle = CA("short", parent=ROOT, not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    leaf: Leaf = middle.issue()
    fault = identity(leaf.chain_pem, leaf.key_pem).fault_at(NOW)
    assert fault is not None and fault.reason == "expired" and "CN=short" in fault.message


def test_expired_members_of_a_bundle_are_skipped() -> None:
    old = CA("old", not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    found = trust(old, ROOT)
    assert found.fault_at(NOW) is None
    assert found.valid_at(NOW) == [1]
    assert found.valid_at(NOW - 1.5 * DAY) == [0]


def test_a_bundle_with_nothing_valid_is_refused() -> None:
    old = CA("old", not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    fault = trust(old).fault_at(NOW)
    assert fault is not None and fault.reason == "no_valid_ca" and "CN=old" in fault.message
    assert trust(old).unusable_at(NOW) == fault


def test_a_bundle_without_certificate_is_refused() -> None:
    with pytest.raises(MaterialError) as caught:
        parse_trust("ca.crt", "", SetContent((b"nothing here",), "digest"))
    assert caught.value.reason == "parse"


def test_every_ca_of_the_bundle_needs_a_crl() -> None:
    fault = trust(ROOT, MIDDLE, crls=[ROOT.crl()]).fault_at(NOW)
    assert fault is not None and fault.reason == "crl_missing" and "CN=middle" in fault.message
    assert trust(ROOT, MIDDLE, crls=[ROOT.crl(), MIDDLE.crl()]).fault_at(NOW) is None


def test_a_stale_crl_refuses_a_new_set_and_shuts_out_its_own_ca() -> None:
    other = CA("other")
    found = trust(ROOT, other, crls=[ROOT.crl(next_update=NOW - 10), other.crl()])
    fault = found.fault_at(NOW)
    assert fault is not None and fault.reason == "crl_stale" and "CN=root" in fault.message
    assert found.unusable_at(NOW) is None
    assert found.usable_at(NOW) == [1]
    assert found.unusable_at(NOW + 2 * DAY) is not None  # by then all are stale: closed


def test_a_forged_crl_is_refused() -> None:
    impostor = CA("root")
    with pytest.raises(MaterialError) as caught:
        trust(ROOT, crls=[impostor.crl()])
    assert caught.value.reason == "crl_signature"


def test_a_crl_of_somebody_else_does_no_harm() -> None:
    assert trust(ROOT, crls=[ROOT.crl(), CA("gone").crl()]).fault_at(NOW) is None


def test_a_crl_cut_short_is_refused() -> None:
    with pytest.raises(MaterialError) as caught:
        trust(ROOT, crls=[ROOT.crl()[:-30]])
    assert caught.value.reason in ("parse", "torn")


def test_orphans_are_cas_without_their_issuer() -> None:
    assert not trust(ROOT, MIDDLE).has_orphans_at(NOW)
    assert trust(MIDDLE).has_orphans_at(NOW)
