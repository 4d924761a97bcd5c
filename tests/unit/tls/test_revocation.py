"""Judging live peers again says what a handshake of now would say."""

import time
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from app.tls.files import SetContent
from app.tls.revocation import MAX_DEPTH, has_shrunk, judge_chain
from app.tls.validation import Trust, parse_trust
from tests.pki import CA, DAY, Leaf

NOW = time.time()
CA1, CA2 = CA("ca 1"), CA("ca 2")
MIDDLE = CA("middle", parent=CA1)


def trust(*cas: CA, crls: Sequence[bytes] = ()) -> Trust:
    files = [b"".join(each.pem for each in cas), *([b"".join(crls)] if crls else [])]
    return parse_trust("ca.crt", "ca.crl" if crls else "", SetContent(tuple(files), "digest"))


def der(*certificates: x509.Certificate) -> list[bytes]:
    return [each.public_bytes(serialization.Encoding.DER) for each in certificates]


def shown(leaf: Leaf) -> list[bytes]:
    return der(*x509.load_pem_x509_certificates(leaf.chain_pem))


def test_who_is_trusted_stays() -> None:
    assert judge_chain(shown(CA1.issue()), trust(CA1), NOW) is None
    assert judge_chain(shown(MIDDLE.issue()), trust(CA1), NOW) is None
    assert judge_chain(shown(MIDDLE.issue()), trust(MIDDLE), NOW) is None
    assert judge_chain(shown(MIDDLE.issue())[:1], trust(MIDDLE, CA1), NOW) is None


def test_a_removed_ca() -> None:
    reason = judge_chain(shown(MIDDLE.issue()), trust(CA2), NOW)
    assert reason is not None and "no CA in ca.crt signed" in reason


def test_an_authority_of_the_same_name_is_another_one() -> None:
    assert judge_chain(shown(CA("ca 1").issue()), trust(CA1), NOW) is not None


def test_dates() -> None:
    leaf = CA1.issue(not_after=NOW + 100)
    assert judge_chain(shown(leaf), trust(CA1), NOW) is None
    reason = judge_chain(shown(leaf), trust(CA1), NOW + 100)
    assert reason is not None and "outside its dates" in reason


def test_a_bundle_that_has_ended_lets_nobody_in() -> None:
    reason = judge_chain(shown(CA1.issue()), trust(CA1), NOW + 11 * DAY)
    assert reason is not None and "no CA of the bundle is valid" in reason


@pytest.mark.parametrize("by", ["leaf", "intermediate"])
def test_revoked(by: str) -> None:
    leaf = MIDDLE.issue()
    first = CA1.crl([MIDDLE.certificate] if by == "intermediate" else [])
    second = MIDDLE.crl([leaf.certificate] if by == "leaf" else [])
    assert judge_chain(shown(leaf), trust(CA1, crls=[CA1.crl(), MIDDLE.crl()]), NOW) is None
    reason = judge_chain(shown(leaf), trust(CA1, crls=[first, second]), NOW)
    assert reason is not None and "revoked" in reason


def test_a_stale_crl_shuts_out_its_own_ca_alone() -> None:
    mixed = trust(CA1, CA2, crls=[CA1.crl(next_update=NOW - 5), CA2.crl()])
    reason = judge_chain(shown(CA1.issue()), mixed, NOW)
    assert reason is not None and "past its nextUpdate" in reason
    assert judge_chain(shown(CA2.issue()), mixed, NOW) is None


def test_an_intermediate_that_is_shown_needs_its_own_crl() -> None:
    reason = judge_chain(shown(MIDDLE.issue()), trust(CA1, crls=[CA1.crl()]), NOW)
    assert reason is not None and "no CRL of CN=middle" in reason


def test_a_leaf_cannot_issue() -> None:
    """Or else every holder of a certificate would be an authority."""
    leaf = CA1.issue()
    key = serialization.load_pem_private_key(leaf.key_pem, None)
    rogue = CA("leaf")
    rogue.key = key  # type: ignore[assignment]
    rogue.certificate = leaf.certificate
    forged = rogue.issue()
    assert judge_chain(der(forged.certificate, leaf.certificate), trust(CA1), NOW) is not None


def test_every_way_is_tried() -> None:
    """A cross-signed CA: the first certificate of it leads to an authority that is gone."""
    crossed = CA("crossed", parent=CA2)
    twin = CA("crossed", parent=CA1)
    # The same name and key, signed by the other authority.
    twin_certificate = _resigned(crossed, CA1)
    leaf = crossed.issue()
    both = der(leaf.certificate, crossed.certificate, twin_certificate)
    assert judge_chain(both, trust(CA1), NOW) is None
    assert judge_chain(both, trust(CA2), NOW) is None
    assert judge_chain(both[:2], trust(CA1), NOW) is not None
    assert judge_chain(der(leaf.certificate, twin.certificate), trust(CA1), NOW) is not None


def _resigned(ca: CA, by: CA) -> x509.Certificate:
    from cryptography.hazmat.primitives import hashes

    builder = (
        x509.CertificateBuilder()
        .subject_name(ca.certificate.subject)
        .issuer_name(by.certificate.subject)
        .public_key(ca.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ca.certificate.not_valid_before_utc)
        .not_valid_after(ca.certificate.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return builder.sign(by.key, hashes.SHA256())


def test_the_search_is_bounded() -> None:
    authority = CA1
    chain: list[x509.Certificate] = []
    for number in range(MAX_DEPTH + 3):
        authority = CA(f"level {number}", parent=authority)
        chain.insert(0, authority.certificate)
    leaf = authority.issue()
    assert judge_chain(der(leaf.certificate, *chain), trust(CA1), NOW) is not None


def test_nonsense_is_refused() -> None:
    assert judge_chain([], trust(CA1), NOW) == "it showed no certificate"
    assert judge_chain([b"nonsense"], trust(CA1), NOW) is not None


def _admitting(of: Trust) -> frozenset[str]:
    return frozenset(of.authorities[each].fingerprint for each in of.usable_at(NOW))


def _shrunk(old: Trust, new: Trust) -> bool:
    return has_shrunk(old, new, _admitting(old), _admitting(new))


def test_what_counts_as_shrunk() -> None:
    leaf = CA1.issue()
    assert not _shrunk(trust(CA1), trust(CA1, CA2))
    assert _shrunk(trust(CA1, CA2), trust(CA2))
    before, after = trust(CA1, crls=[CA1.crl()]), trust(CA1, crls=[CA1.crl([leaf.certificate])])
    assert _shrunk(before, after)
    assert not _shrunk(after, before)
    assert not _shrunk(after, after)
    stale = trust(CA1, CA2, crls=[CA1.crl(next_update=NOW - 5), CA2.crl()])
    assert _shrunk(trust(CA1, CA2, crls=[CA1.crl(), CA2.crl()]), stale)
