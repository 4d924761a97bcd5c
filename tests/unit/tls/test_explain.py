"""Reasons in words, by handshakes that fail for them."""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.tls.contexts import build_context, handshake_objects
from app.tls.explain import HandshakeFailure, explain_accept, explain_handshake
from app.tls.files import SetContent
from app.tls.model import CertificateInfo, Material, Role, TlsPolicy
from app.tls.validation import parse_identity, parse_trust
from tests.pki import CA, DAY, Leaf
from tests.unit.tls.handshake import shake

NOW = time.time()
CA1, CA2 = CA("ca 1"), CA("ca 2")
POLICY = TlsPolicy(min_version="1.2")


def material(
    role: Role, leaf: Leaf | None, *cas: CA, crls: bytes = b"", policy: TlsPolicy = POLICY
) -> Material:
    """One generation, as a provider would hand it out."""
    bundle = b"".join(each.pem for each in cas)
    files = (bundle, crls) if crls else (bundle,)
    trust = parse_trust("ca.crt", "ca.crl" if crls else "", SetContent(files, ""))
    pair = SetContent((leaf.chain_pem, leaf.key_pem), "") if leaf else None
    identity = parse_identity("tls.crt", "tls.key", pair) if pair else None
    return Material(
        generation=1,
        context=build_context(role, policy, identity, trust, NOW),
        identity=CertificateInfo.of(leaf.certificate) if leaf else None,
        trust=trust.authorities,
        identity_digest="",
        trust_digest="",
    )


@contextmanager
def _observed() -> Iterator[list[ssl.SSLObject]]:
    objects: list[ssl.SSLObject] = []
    token = handshake_objects.set(objects)
    try:
        yield objects
    finally:
        handshake_objects.reset(token)


def _failures(
    client: Material, server: Material, *, name: str = "localhost"
) -> tuple[HandshakeFailure | None, HandshakeFailure | None]:
    """What the client says of a handshake, and what the server says."""
    with _observed() as objects:
        outcome = shake(client.context, server.context, name=name)
    ours, theirs = [outcome.client], [outcome.server]
    assert set(objects) == {*ours, *theirs}
    return (
        explain_handshake(outcome.client_error, name=name, policy=POLICY, material=client, objects=ours)
        if outcome.client_error
        else None,
        explain_accept(outcome.server_error, policy=POLICY, material=server, objects=theirs)
        if outcome.server_error
        else None,
    )


CLIENT_LEAF = CA1.issue(common_name="querier")
CLIENT = material(Role.CLIENT, CLIENT_LEAF, CA1)
SERVER = material(Role.SERVER, CA1.issue(common_name="store"), CA1)


def test_a_good_handshake_needs_no_words() -> None:
    assert _failures(CLIENT, SERVER) == (None, None)


def test_the_ca_of_the_server_is_not_trusted() -> None:
    found, theirs = _failures(CLIENT, material(Role.SERVER, CA2.issue(common_name="store"), CA1))
    assert found is not None and theirs is not None
    assert found.reason == "unknown_ca"
    assert "CN=store" in found.message and "leads to CN=ca 2" in found.message
    assert "trusted: CN=ca 1" in found.message
    assert theirs.reason == "refused_unknown_ca"
    assert "we offered CN=store" in theirs.message


def test_the_name_wanted_and_those_found() -> None:
    found, _ = _failures(CLIENT, SERVER, name="thanos.example")
    assert found is not None and found.reason == "name_mismatch"
    assert "DNS:localhost" in found.message and "not for thanos.example" in found.message


def test_expired_and_when() -> None:
    old = CA1.issue(common_name="store", not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    found, _ = _failures(CLIENT, material(Role.SERVER, old, CA1))
    assert found is not None and found.reason == "expired"
    day = time.strftime("%Y-%m-%d", time.gmtime(NOW - DAY))
    assert f"certificate expired on {day}" in found.message and "CN=store" in found.message


def test_an_expired_intermediate_is_the_one_named() -> None:
    middle = CA("short", parent=CA1, not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    found, _ = _failures(CLIENT, material(Role.SERVER, middle.issue(), CA1))
    assert found is not None and found.reason == "expired"
    assert "intermediate CA expired" in found.message and "CN=short" in found.message


def test_not_yet_valid() -> None:
    early = CA1.issue(not_before=NOW + DAY)
    found, _ = _failures(CLIENT, material(Role.SERVER, early, CA1))
    assert found is not None and found.reason == "not_yet_valid"


def test_which_client_identity_was_offered_and_refused() -> None:
    """With TLS 1.3 the alert comes after the client's handshake."""
    found, theirs = _failures(
        material(Role.CLIENT, CLIENT_LEAF, CA1), material(Role.SERVER, CA1.issue(), CA2)
    )
    assert found is not None and theirs is not None
    assert found.reason == "refused_unknown_ca"
    assert "we offered CN=querier" in found.message and CLIENT_LEAF.serial in found.message
    assert theirs.reason == "unknown_ca" and "trusted: CN=ca 2" in theirs.message


def test_no_client_certificate() -> None:
    found, theirs = _failures(material(Role.CLIENT, None, CA1), SERVER)
    assert found is not None and theirs is not None
    assert found.reason == "refused_no_certificate"
    assert "we offered no client certificate" in found.message
    assert theirs.reason == "no_certificate" and "CN=ca 1" in theirs.message


def test_revoked_and_stale() -> None:
    revoked = material(Role.SERVER, CA1.issue(), CA1, crls=CA1.crl([CLIENT_LEAF.certificate]))
    found, theirs = _failures(CLIENT, revoked)
    assert found is not None and found.reason == "refused_revoked"
    assert theirs is not None and theirs.reason == "revoked"
    stale = material(Role.SERVER, CA1.issue(), CA1, CA2, crls=CA1.crl(next_update=NOW - 5) + CA2.crl())
    _, theirs = _failures(CLIENT, stale)
    assert theirs is not None and theirs.reason == "crl"


def test_a_revoked_intermediate_below_an_anchor_that_is_none_itself() -> None:
    middle = CA("middle", parent=CA1)
    deeper = CA("deeper", parent=middle)
    crls = middle.crl([deeper.certificate]) + deeper.crl()
    _, theirs = _failures(
        material(Role.CLIENT, deeper.issue(), CA1), material(Role.SERVER, CA1.issue(), middle, crls=crls)
    )
    assert theirs is not None and theirs.reason == "certificate" and "is revoked by ca.crl" in theirs.message


def test_versions_that_do_not_meet() -> None:
    modern = material(Role.SERVER, CA1.issue(), CA1, policy=TlsPolicy(min_version="1.3"))
    old = material(Role.CLIENT, CLIENT_LEAF, CA1)
    old.context.maximum_version = ssl.TLSVersion.TLSv1_2
    found, theirs = _failures(old, modern)
    assert found is not None and found.reason == "protocol_version"
    assert theirs is not None and theirs.reason == "protocol_version"


def test_plaintext_peers() -> None:
    for role, mine, said in (
        (Role.SERVER, SERVER, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (Role.SERVER, SERVER, b"GET / HTTP/1.1\r\n\r\n"),
        (Role.CLIENT, CLIENT, b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18)),
        (Role.CLIENT, CLIENT, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ):
        incoming = ssl.MemoryBIO()
        incoming.write(said)
        server = role is Role.SERVER
        name = None if server else "localhost"
        tls = mine.context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=server, server_hostname=name)
        with pytest.raises(ssl.SSLError) as caught:
            tls.do_handshake()
        if server:
            found = explain_accept(caught.value, policy=POLICY, material=mine)
        else:
            found = explain_handshake(caught.value, name="localhost", policy=POLICY, material=mine)
        assert found.reason == "not_tls", (said, caught.value)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionResetError(104, "reset"), "connection_closed"),
        (EOFError(), "connection_closed"),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "connection_closed"),
        (TimeoutError(), "timeout"),
        (ConnectionAbortedError("SSL handshake is taking longer than 5 seconds"), "timeout"),
        (ValueError("?"), "other"),
    ],
)
def test_errors_that_are_not_tls(error: BaseException, reason: str) -> None:
    found = explain_handshake(error, name="localhost", policy=POLICY, material=CLIENT)
    assert found.reason == reason
    assert explain_accept(error, policy=POLICY, material=SERVER).reason == reason
    if reason == "connection_closed":
        assert "we offered CN=querier" in found.message
