"""What the certificate cache hands out: certificates described, material with its context, changes."""

import ssl
from collections.abc import Iterator
from enum import StrEnum

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from app.config.model import TlsVersion


class Role(StrEnum):
    CLIENT = "client"
    SERVER = "server"


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of the two sets. Identity: certificate chain and key. Trust: CA bundle and CRLs. "" is unset."""

    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""
    crl_file: str = ""


class TlsPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a context is built with, beside the material.

    :param verify_peer: a client verifies the server's chain and name; a listener requires a client
        certificate. False is `insecure_skip_verify`, or a listener without client CA.
    :param peer_identities: URIs or DNS names of which the peer's leaf must carry one; empty: no pin. A
        pinned URI replaces the host-name check, never the chain.
    :param alpn: what is offered, in this order.
    """

    min_version: TlsVersion = "1.3"
    verify_peer: bool = True
    peer_identities: tuple[str, ...] = ()
    ciphers: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ("h2",)


class CertificateInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate, as shown to people and compared between generations.

    :param serial: lower-case hex without separators.
    :param sans: with their kind: ``DNS:a.example``, ``URI:spiffe://eu/querier``, ``IP:10.0.0.1``.
    :param not_before, not_after: seconds since the epoch.
    :param fingerprint: SHA-256 of the DER form, hex.
    """

    subject: str
    issuer: str
    serial: str
    sans: tuple[str, ...]
    not_before: float
    not_after: float
    fingerprint: str

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "CertificateInfo":
        """What is shown of a certificate."""
        return cls(
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            serial=f"{certificate.serial_number:x}",
            sans=tuple(_names(certificate)),
            not_before=certificate.not_valid_before_utc.timestamp(),
            not_after=certificate.not_valid_after_utc.timestamp(),
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        )


def _names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return
    for name in names:
        if isinstance(name, x509.DNSName):
            yield f"DNS:{name.value}"
        elif isinstance(name, x509.UniformResourceIdentifier):
            yield f"URI:{name.value}"
        elif isinstance(name, x509.IPAddress):
            yield f"IP:{name.value}"


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """One validated generation. The context is never touched after it was made.

    :param generation: grows by one with each swap of identity or trust of this provider.
    :param identity: the leaf; None for a client without certificate.
    :param trust: CAs in force; empty with system roots or without verification.
    :param identity_digest, trust_digest: SHA-256 over the validated bytes; equal means the same material.
    """

    generation: int
    context: ssl.SSLContext
    identity: CertificateInfo | None
    trust: tuple[CertificateInfo, ...]
    identity_digest: str
    trust_digest: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What subscribers of a provider are told, on the event loop, after the swap.

    Where a date alone shrank trust (the last CA expired, a CRL went stale) there may be no new material: then
    `new` is `old`, live peers are judged, and nothing is drained, since no new handshake might succeed.

    :param trust_shrunk: a CA was removed, or a CRL revokes more: live peers must be judged again and cut
        within 10 s when they fail. False with `identity_changed` or `trust_changed`: drain slowly.
    """

    old: Material | None
    new: Material
    identity_changed: bool
    trust_changed: bool
    trust_shrunk: bool


class SetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of one set (identity or trust) for the status page, metrics and logs.

    :param refused_reason: slug of `MaterialError.reason` for what is on disk now; "" when it is in use.
    :param refused_message: the sentence that goes with it.
    """

    loaded_at: float | None
    refused_reason: str = ""
    refused_message: str = ""


class ProviderStatus(msgspec.Struct, frozen=True, kw_only=True):
    group: str
    role: Role
    generation: int  # 0: nothing valid so far
    identity: SetStatus
    trust: SetStatus
    leaf: CertificateInfo | None
    authorities: tuple[CertificateInfo, ...]
    crl_next_update: float | None
