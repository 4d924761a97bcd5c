"""What the contexts built from validated bytes accept and refuse, by real handshakes."""

import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.config.model import TlsVersion
from app.tls.contexts import build_context, handshake_objects, handshake_output, prove_identity, prove_trust
from app.tls.files import SetContent
from app.tls.model import Role, TlsPolicy
from app.tls.peer import agreed, shown_chain
from app.tls.validation import Identity, Trust, parse_identity, parse_trust
from tests.pki import CA, DAY, Leaf
from tests.unit.tls.handshake import shake

NOW = time.time()
CA1 = CA("ca 1")
CA2 = CA("ca 2")
MIDDLE = CA("middle", parent=CA1)
LEAF = CA1.issue()

versions = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def identity(leaf: Leaf) -> Identity:
    return parse_identity("tls.crt", "tls.key", SetContent((leaf.chain_pem, leaf.key_pem), leaf.serial))


def trust(*cas: CA, crls: Sequence[bytes] = ()) -> Trust:
    files = [b"".join(each.pem for each in cas), *([b"".join(crls)] if crls else [])]
    return parse_trust("ca.crt", "ca.crl" if crls else "", SetContent(tuple(files), "digest"))


def server(
    leaf: Leaf = LEAF, *, trusting: Trust | None = None, policy: TlsPolicy | None = None
) -> ssl.SSLContext:
    policy = policy or TlsPolicy(min_version="1.2", verify_peer=trusting is not None)
    return build_context(Role.SERVER, policy, identity(leaf), trusting, NOW)


def client(
    leaf: Leaf | None = LEAF, *, trusting: Trust | None = None, policy: TlsPolicy | None = None
) -> ssl.SSLContext:
    policy = policy or TlsPolicy(min_version="1.2")
    own = None if leaf is None else identity(leaf)
    return build_context(Role.CLIENT, policy, own, trusting or trust(CA1), NOW)


def at(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    return context


@versions
def test_mutual_tls(version: ssl.TLSVersion) -> None:
    outcome = shake(at(client(), version), server(trusting=trust(CA1)))
    assert outcome.ok
    found = agreed(outcome.server)
    assert found.alpn == "h2" and not found.resumed
    assert found.certificate is not None and found.certificate.serial == LEAF.serial


@pytest.mark.parametrize("tickets", [True, False], ids=["asks for tickets", "by session id alone"])
@pytest.mark.parametrize(
    ("minimum", "version"),
    [
        ("1.2", ssl.TLSVersion.TLSv1_2),
        ("1.2", ssl.TLSVersion.TLSv1_3),
        ("1.3", ssl.TLSVersion.TLSv1_3),
    ],
)
def test_no_session_is_ever_resumed(minimum: TlsVersion, version: ssl.TLSVersion, tickets: bool) -> None:
    """Neither by ticket nor by session id, neither within one generation of material nor across two."""
    policy = TlsPolicy(min_version=minimum)
    asking = at(client(), version)
    if not tickets:
        asking.options |= ssl.OP_NO_TICKET
    serving = server(trusting=trust(CA1), policy=policy)
    first = shake(asking, serving)
    assert first.ok
    for generation in (serving, server(trusting=trust(CA1), policy=policy)):
        again = shake(asking, generation, session=first.client.session)
        assert again.ok
        assert not again.client.session_reused and not again.server.session_reused
        assert again.server.getpeercert(True) is not None
    session = first.client.session
    assert session is None or not session.has_ticket


def test_the_peer_that_resumption_is_proved_against_does_resume(tmp_path: Path) -> None:
    """The proof above would prove nothing with a client that never tries."""
    stock = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stock.options |= ssl.OP_NO_TICKET
    certificate, key = LEAF.write(tmp_path)
    stock.load_cert_chain(certificate, key)
    asking = at(client(), ssl.TLSVersion.TLSv1_2)
    first = shake(asking, stock)
    assert shake(asking, stock, session=first.client.session).client.session_reused


@versions
def test_a_removed_ca_is_refused_although_the_client_resumes(version: ssl.TLSVersion) -> None:
    asking = at(client(), version)
    first = shake(asking, server(trusting=trust(CA1, CA2)))
    assert first.ok
    after = shake(asking, server(trusting=trust(CA2)), session=first.client.session)
    assert isinstance(after.server_error, ssl.SSLCertVerificationError)
    assert after.client_error is not None and "UNKNOWN_CA" in str(after.client_error.reason)


@versions
def test_an_overlap_lets_both_in(version: ssl.TLSVersion) -> None:
    serving = server(trusting=trust(CA1, CA2))
    for ca in (CA1, CA2):
        assert shake(at(client(ca.issue()), version), serving).ok


@versions
def test_who_has_no_certificate_or_an_expired_one_is_refused(version: ssl.TLSVersion) -> None:
    serving = server(trusting=trust(CA1))
    none = shake(at(client(None), version), serving)
    assert none.server_error is not None
    assert none.server_error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    expired = CA1.issue(not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    assert isinstance(shake(at(client(expired), version), serving).server_error, ssl.SSLCertVerificationError)


def test_the_minimum_version_holds() -> None:
    serving = server(policy=TlsPolicy(verify_peer=False))
    refused = shake(at(client(), ssl.TLSVersion.TLSv1_2), serving)
    assert refused.server_error is not None and refused.server_error.reason == "UNSUPPORTED_PROTOCOL"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.warns(DeprecationWarning):
        at(old, ssl.TLSVersion.TLSv1_1)
    assert shake(old, server(policy=TlsPolicy(min_version="1.2", verify_peer=False))).server_error is not None


def _crl_cases() -> Iterator[tuple[str, list[CA], list[bytes], Leaf, bool]]:
    below = MIDDLE.issue()
    direct = CA1.issue()
    good = CA1.crl(), MIDDLE.crl()
    both = [CA1, MIDDLE]
    yield "root and intermediate, nothing revoked", both, list(good), below, True
    yield "root and intermediate, direct leaf", both, list(good), direct, True
    yield "leaf revoked", both, [CA1.crl(), MIDDLE.crl([below.certificate])], below, False
    yield "intermediate revoked", both, [CA1.crl([MIDDLE.certificate]), MIDDLE.crl()], below, False
    yield "CRL stale", both, [CA1.crl(), MIDDLE.crl(next_update=NOW - 5)], below, False
    yield "other CRL stale", [CA1, CA2], [CA1.crl(), CA2.crl(next_update=NOW - 5)], direct, True
    yield "no CRL of the intermediate, which the peer shows", [CA1], [CA1.crl()], below, False
    yield "intermediate alone", [MIDDLE], [MIDDLE.crl()], below, True
    yield "intermediate alone, leaf revoked", [MIDDLE], [MIDDLE.crl([below.certificate])], below, False
    deeper = CA("deeper", parent=MIDDLE)
    revoked = [MIDDLE.crl([deeper.certificate]), deeper.crl()]
    yield "intermediate alone, one below it revoked", [MIDDLE], revoked, deeper.issue(), False
    yield "intermediate alone, one below it", [MIDDLE], [MIDDLE.crl(), deeper.crl()], deeper.issue(), True


@versions
@pytest.mark.parametrize(
    ("cas", "crls", "leaf", "accepted"),
    [pytest.param(*case, id=name) for name, *case in _crl_cases()],
)
def test_crls(cas: list[CA], crls: list[bytes], leaf: Leaf, accepted: bool, version: ssl.TLSVersion) -> None:
    outcome = shake(at(client(leaf), version), server(trusting=trust(*cas, crls=crls)))
    assert (outcome.server_error is None) == accepted
    if not accepted:
        assert isinstance(outcome.server_error, ssl.SSLCertVerificationError)


def test_an_intermediate_can_be_the_anchor() -> None:
    outcome = shake(client(trusting=trust(MIDDLE)), server(MIDDLE.issue()))
    assert outcome.ok
    assert len(shown_chain(outcome.client)) == 2


def test_names_are_checked_and_a_pinned_uri_replaces_that() -> None:
    serving = server(CA1.issue(uri=["spiffe://eu/store"]))
    refused = shake(client(), serving)
    assert isinstance(refused.client_error, ssl.SSLCertVerificationError)
    assert refused.client_error.verify_code == 62
    by_uri = TlsPolicy(peer_identities=("spiffe://eu/store",))
    assert shake(client(policy=by_uri), serving).ok
    by_name = TlsPolicy(peer_identities=("store.example",))
    assert not shake(client(policy=by_name), serving).ok
    impostor = server(CA2.issue(uri=["spiffe://eu/store"]))
    assert not shake(client(policy=by_uri), impostor).ok  # the chain is never replaced


def test_a_common_name_is_no_name() -> None:
    serving = server(CA1.issue(uri=["spiffe://x"], common_name="localhost"))
    assert not shake(client(), serving).ok


def test_skipping_verification_skips_all_of_it() -> None:
    policy = TlsPolicy(verify_peer=False)
    assert shake(client(policy=policy), server(CA2.issue(dns=["other"]))).ok


def test_system_roots_do_not_trust_strangers() -> None:
    context = build_context(Role.CLIENT, TlsPolicy(), None, None, NOW)
    refused = shake(context, server())
    assert isinstance(refused.client_error, ssl.SSLCertVerificationError)


def test_a_second_client_hello() -> None:
    """A client whose first key share does not fit is asked again: the context was swapped by then."""
    policy = TlsPolicy(min_version="1.2", curves=("CurveP384",))
    serving = server(trusting=trust(CA1), policy=policy)
    for _ in range(50):
        assert shake(at(client(), ssl.TLSVersion.TLSv1_3), serving).ok


def test_ciphers_hold_for_tls_1_2() -> None:
    policy = TlsPolicy(
        min_version="1.2", verify_peer=False, ciphers=("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",)
    )
    outcome = shake(at(client(), ssl.TLSVersion.TLSv1_2), server(policy=policy))
    assert agreed(outcome.client).cipher == "ECDHE-ECDSA-CHACHA20-POLY1305"


def test_the_objects_of_a_failed_handshake_can_be_looked_at() -> None:
    objects: list[ssl.SSLObject] = []
    outputs: list[ssl.MemoryBIO] = []
    tokens = handshake_objects.set(objects), handshake_output.set(outputs)
    try:
        refused = shake(client(trusting=trust(CA2)), server())
    finally:
        handshake_objects.reset(tokens[0])
        handshake_output.reset(tokens[1])
    assert objects == [refused.client, refused.server]
    assert len(outputs) == 2
    assert shown_chain(refused.client) == (ssl.PEM_cert_to_DER_cert(LEAF.chain_pem.decode()),)


def test_openssl_has_the_last_word() -> None:
    assert prove_identity(identity(LEAF)) is None
    assert prove_trust(trust(CA1, crls=[CA1.crl()]), NOW) is None
    other = identity(CA1.issue())
    mixed = Identity(
        digest="", cert_file="tls.crt", cert_pem=LEAF.chain_pem, key_pem=other.key_pem, chain=other.chain
    )
    fault = prove_identity(mixed)
    assert fault is not None and fault.reason == "openssl" and "tls.crt" in fault.message
