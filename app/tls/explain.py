"""Why a handshake failed, in words that an operator can act on.

OpenSSL says "certificate verify failed"; the operator needs to know which name was wanted and which was
found, which CA was trusted and which one signed, what expired when, and which identity we had offered.
"""

import ssl
from collections.abc import Sequence

import msgspec

from app.tls.certificates import certificate_info, describe, instant
from app.tls.model import CertificateInfo, Material, TlsPolicy
from app.tls.peer import shown_chain

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_EXPIRED, _NOT_YET_VALID, _REVOKED, _CRL_EXPIRED, _NO_CRL = 10, 9, 23, 12, 3
_HOST_MISMATCH, _IP_MISMATCH = 62, 64

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
    shown = _shown(objects)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _verification(error, name, material, shown)
    if isinstance(error, ssl.SSLError):
        return _ssl_error(error, material, policy)
    if isinstance(error, TimeoutError):
        return HandshakeFailure("timeout", "the TLS handshake was not finished in time")
    if isinstance(error, ConnectionError | EOFError | OSError):
        return refused_without_reason(material)
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


def _shown(objects: Sequence[ssl.SSLObject]) -> CertificateInfo | None:
    for tls in reversed(objects):
        chain = shown_chain(tls)
        if chain:
            return certificate_info(chain[0])
    return None


def _trusted(material: Material) -> str:
    if not material.trust:
        return "the system's roots"
    return ", ".join(each.subject for each in material.trust[:5])


def _verification(
    error: ssl.SSLCertVerificationError, name: str, material: Material, shown: CertificateInfo | None
) -> HandshakeFailure:
    code = error.verify_code
    what = describe(shown) if shown else "a certificate"
    if code in (_HOST_MISMATCH, _IP_MISMATCH):
        names = ", ".join(shown.sans) if shown else "other names"
        return HandshakeFailure("name_mismatch", f"the peer's certificate is for {names}, not for {name}")
    if code == _EXPIRED:
        ended = f" on {instant(shown.not_after)}" if shown else ""
        return HandshakeFailure("expired", f"the peer's certificate, or its CA, expired{ended}: {what}")
    if code == _NOT_YET_VALID:
        return HandshakeFailure("not_yet_valid", f"the peer's certificate is not valid yet: {what}")
    if code == _REVOKED:
        return HandshakeFailure("revoked", f"the peer's certificate is revoked: {what}")
    if code in (_CRL_EXPIRED, _NO_CRL):
        return HandshakeFailure("crl", f"{error.verify_message}: no current CRL for {what}")
    issuer = shown.issuer if shown else "a CA"
    return HandshakeFailure(
        "unknown_ca",
        f"the peer's certificate {what} was issued by {issuer}, which is not trusted"
        f" (trusted: {_trusted(material)}): {error.verify_message}",
    )


def _ssl_error(error: ssl.SSLError, material: Material, policy: TlsPolicy) -> HandshakeFailure:
    reason = error.reason or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"):
        return HandshakeFailure("not_tls", "the peer does not speak TLS; is it a plaintext endpoint?")
    if reason in ("UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW"):
        return HandshakeFailure(
            "protocol_version",
            f"the peer does not offer TLS {policy.min_version}; set min_version if it cannot",
        )
    for alert, (slug, sentence) in _ALERTS.items():
        if reason.endswith(f"ALERT_{alert}"):
            tail = f"; {_offered(material.identity)}" if slug.startswith(("refused", "handshake")) else ""
            return HandshakeFailure(slug, f"{sentence}{tail}")
    return HandshakeFailure("tls", f"TLS failed: {reason.lower().replace('_', ' ') or error}")
