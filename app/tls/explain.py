"""Why a handshake failed, in words that an operator can act on.

OpenSSL says "certificate verify failed"; the operator needs to know which name was wanted and which was
found, which CA was trusted and which one signed, what expired when, and which identity we had offered.
"""

import ssl
import time
from collections.abc import Sequence

import msgspec

from app.tls.certificates import certificate_info, describe, instant
from app.tls.model import CertificateInfo, Material, TlsPolicy
from app.tls.peer import shown_chain

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_NO_CRL, _CRL_NOT_YET_VALID, _CRL_EXPIRED, _NO_CRL_ISSUER = 3, 11, 12, 33
_NOT_YET_VALID, _EXPIRED, _REVOKED, _PURPOSE = 9, 10, 23, 26
_HOST_MISMATCH, _IP_MISMATCH = 62, 64
_WEAK = (66, 67, 68)  # key of the leaf, key of a CA, digest of a signature

# What OpenSSL says of bytes that are no TLS record.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG")
_NO_COMMON_VERSION = ("UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW")

# What a peer's alert says of the certificate that we showed it.
_ALERTS = {
    "UNKNOWN_CA": ("refused_unknown_ca", "the peer does not trust the CA of our certificate"),
    "CERTIFICATE_REQUIRED": ("refused_no_certificate", "the peer requires a client certificate"),
    "CERTIFICATE_EXPIRED": ("refused_expired", "the peer says that our certificate has expired"),
    "CERTIFICATE_REVOKED": ("refused_revoked", "the peer says that our certificate is revoked"),
    "BAD_CERTIFICATE": ("refused_bad_certificate", "the peer refuses our certificate"),
    "CERTIFICATE_UNKNOWN": ("refused_certificate", "the peer refuses our certificate"),
    "UNSUPPORTED_CERTIFICATE": ("refused_certificate", "the peer cannot use our certificate"),
    "DECRYPT_ERROR": ("refused_certificate", "the peer could not verify our signature"),
    "ACCESS_DENIED": ("refused_access", "the peer denies us access"),
    "PROTOCOL_VERSION": ("protocol_version", "the peer and we share no TLS version"),
    "HANDSHAKE_FAILURE": ("handshake_failure", "the peer and we share no cipher, or it wants a certificate"),
    "UNRECOGNIZED_NAME": ("unrecognized_name", "the peer does not know the server name we sent"),
    "NO_APPLICATION_PROTOCOL": ("alpn", "the peer does not speak HTTP/2 (ALPN h2)"),
}


class HandshakeFailure(msgspec.Struct, frozen=True):
    """`reason` is a slug for metrics, from a closed set; `message` a sentence."""

    reason: str
    message: str


def explain_handshake(
    error: BaseException,
    *,
    name: str,
    policy: TlsPolicy,
    material: Material,
    objects: Sequence[ssl.SSLObject] = (),
) -> HandshakeFailure:
    """Why a handshake as a client failed.

    :param name: the server name that was to be verified.
    :param material: what we used.
    :param objects: the TLS objects of the attempt; the last one knows what the peer showed.
    """
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return _ssl_error(error, name, material, policy, objects)
    if isinstance(error, TimeoutError) or "handshake is taking longer" in str(error):
        return HandshakeFailure("timeout", "the TLS handshake was not finished in time")
    if isinstance(error, EOFError | OSError):
        return refused_without_reason(material)
    return HandshakeFailure("other", f"the TLS handshake failed: {error!r}")


def explain_accept(
    error: BaseException,
    *,
    policy: TlsPolicy,
    material: Material,
    objects: Sequence[ssl.SSLObject] = (),
) -> HandshakeFailure:
    """Why a handshake that a client began with us failed; parameters as in `explain_handshake`.

    A client's certificate that was refused cannot be named: OpenSSL drops it before it tells us.
    """
    if isinstance(error, ssl.SSLError):
        reason = _reason(error)
        if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            wanted = f"one of {_trusted(material)} is wanted"
            return HandshakeFailure("no_certificate", f"the client showed no certificate; {wanted}")
        if reason == "NO_SHARED_CIPHER":
            return HandshakeFailure("handshake_failure", "the client and we share no cipher")
        if not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return _ssl_error(error, "", material, policy, objects)
    if isinstance(error, TimeoutError) or "handshake is taking longer" in str(error):
        return HandshakeFailure("timeout", "the client did not finish the TLS handshake in time")
    if isinstance(error, EOFError | OSError):
        return HandshakeFailure(
            "connection_closed",
            "the client closed the connection during the TLS handshake without saying why;"
            f" {_offered(material.identity)}, which it may not accept",
        )
    return HandshakeFailure("other", f"the TLS handshake failed: {error!r}")


def refused_without_reason(material: Material) -> HandshakeFailure:
    """The peer closed the connection where it would have accepted our identity, and sent no alert."""
    return HandshakeFailure(
        "connection_closed",
        "the peer closed the connection during the TLS handshake without saying why; "
        f"{_offered(material.identity)}, which it may not accept",
    )


def _offered(identity: CertificateInfo | None) -> str:
    return f"we offered {describe(identity)}" if identity else "we offered no client certificate"


def _reason(error: ssl.SSLError) -> str:
    # Those that Python raises itself have no such attribute.
    return getattr(error, "reason", "") or ""


def _chain(objects: Sequence[ssl.SSLObject]) -> list[CertificateInfo]:
    for tls in reversed(objects):
        try:
            chain = [certificate_info(each) for each in shown_chain(tls)]
        except ValueError:
            continue  # a peer may show what is no certificate
        if chain:
            return chain
    return []


def _trusted(material: Material) -> str:
    if not material.trust:
        return "the system's roots"
    more = len(material.trust) - 5
    return ", ".join(each.subject for each in material.trust[:5]) + (f" and {more} more" if more > 0 else "")


def _verification(
    error: ssl.SSLError, name: str, material: Material, chain: Sequence[CertificateInfo]
) -> HandshakeFailure:
    # Our own check after OpenSSL's (see ObservedContext.recheck) has a sentence, and no code.
    code = getattr(error, "verify_code", None)
    said = getattr(error, "verify_message", "") or str(error)
    what = describe(chain[0]) if chain else "a client certificate"
    if code in (_HOST_MISMATCH, _IP_MISMATCH):
        names = ", ".join(chain[0].sans) if chain and chain[0].sans else "no name at all"
        return HandshakeFailure("name_mismatch", f"the peer's certificate is for {names}, not for {name}")
    if code == _EXPIRED:
        return HandshakeFailure("expired", _ended(chain))
    if code == _NOT_YET_VALID:
        return HandshakeFailure("not_yet_valid", f"the peer's certificate is not valid yet: {what}")
    if code == _REVOKED:
        return HandshakeFailure("revoked", f"the peer's certificate, or a CA above it, is revoked: {what}")
    if code in (_CRL_EXPIRED, _NO_CRL, _CRL_NOT_YET_VALID, _NO_CRL_ISSUER):
        return HandshakeFailure("crl", f"{said}: no current CRL to check {what} with")
    if code == _PURPOSE:
        side = "a server" if name else "a client"
        return HandshakeFailure("purpose", f"the peer's certificate is not meant for {side}: {what}")
    if code in _WEAK:
        return HandshakeFailure("weak", f"the peer's chain is too weak for OpenSSL: {said}: {what}")
    if not code:
        return HandshakeFailure("certificate", f"the peer's certificate is refused: {said}")
    leads = f" {what} leads to {chain[-1].issuer}, which" if chain else ""
    return HandshakeFailure(
        "unknown_ca",
        f"the peer's certificate{leads} is not trusted (trusted: {_trusted(material)}): {said}",
    )


def _ended(chain: Sequence[CertificateInfo]) -> str:
    now = time.time()
    for position, each in enumerate(chain):
        if each.not_after <= now:
            whose = "certificate" if position == 0 else "intermediate CA"
            return f"the peer's {whose} expired on {instant(each.not_after)}: {describe(each)}"
    return f"the CA above the peer's certificate expired: {describe(chain[0]) if chain else 'unknown'}"


def _ssl_error(
    error: ssl.SSLError,
    name: str,
    material: Material,
    policy: TlsPolicy,
    objects: Sequence[ssl.SSLObject],
) -> HandshakeFailure:
    reason = _reason(error)
    if isinstance(error, ssl.SSLCertVerificationError) or reason == "CERTIFICATE_VERIFY_FAILED":
        return _verification(error, name, material, _chain(objects))
    if reason in _NOT_TLS or reason == "RECORD_LAYER_FAILURE":
        hint = "is it a plaintext endpoint?" if name else "this port takes TLS only"
        return HandshakeFailure("not_tls", f"the peer does not speak TLS; {hint}")
    if reason in _NO_COMMON_VERSION:
        return HandshakeFailure(
            "protocol_version",
            f"the peer does not offer TLS {policy.min_version}; set the minimum version if it cannot",
        )
    for alert, (slug, sentence) in _ALERTS.items():
        if reason.endswith(f"ALERT_{alert}"):
            tail = f"; {_offered(material.identity)}" if slug.startswith(("refused", "handshake")) else ""
            return HandshakeFailure(slug, f"{sentence}{tail}")
    return HandshakeFailure("tls", f"TLS failed: {reason.lower().replace('_', ' ') or error}")
