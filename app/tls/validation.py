"""Bytes of a set to an identity or a trust, or the reason why they are neither.

What does not depend on the clock is checked when a set is parsed; what does, by `fault_at`, which can be
asked again when the dates come.
"""

import re
import warnings
from collections.abc import Sequence
from itertools import pairwise

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.utils import CryptographyDeprecationWarning

from app.errors import MaterialError
from app.tls.certificates import describe, instant
from app.tls.files import SetContent
from app.tls.model import CertificateInfo

_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_CRL = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


class Fault(msgspec.Struct, frozen=True):
    """Why a set cannot be used: `reason` is a slug of MaterialError, `message` a sentence."""

    reason: str
    message: str

    def error(self) -> MaterialError:
        return MaterialError(self.reason, self.message)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate chain with its key, both as they were read.

    :param chain: leaf first.
    """

    digest: str
    cert_file: str
    cert_pem: bytes
    key_pem: bytes
    chain: tuple[CertificateInfo, ...]

    def __repr__(self) -> str:
        return f"Identity({self.cert_file!r}, serial={self.chain[0].serial!r})"  # never the key

    def fault_at(self, now: float) -> Fault | None:
        """What speaks against putting it in force."""
        for certificate in self.chain:
            if now < certificate.not_before:
                return Fault("not_yet_valid", f"{self.cert_file}: {describe(certificate)} is not valid yet")
            if now >= certificate.not_after:
                return Fault("expired", f"{self.cert_file}: {describe(certificate)} has expired")
        return None

    def unusable_at(self, now: float) -> Fault | None:
        """Why it cannot even be used where it is in force already: a leaf has no half measures."""
        return self.fault_at(now)

    def dates(self) -> list[float]:
        """When `fault_at` may change."""
        return [date for each in self.chain for date in (each.not_before, each.not_after)]


class RevocationList(msgspec.Struct, frozen=True, kw_only=True):
    """One CRL: who issued it, until when it is good, and the serial numbers that it revokes."""

    issuer: str
    issuer_name: bytes  # DER, for comparison
    last_update: float
    next_update: float
    revoked: frozenset[int]


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """A CA bundle with its CRLs.

    :param certificates: all of the bundle, also those outside their dates.
    :param names: their subjects, DER: a thousand live peers may have to be judged at once.
    :param crls: empty without a CRL file; otherwise one for each certificate at least.
    """

    digest: str
    ca_file: str
    crl_file: str
    certificates: tuple[x509.Certificate, ...]
    names: tuple[bytes, ...]
    authorities: tuple[CertificateInfo, ...]
    crl_pem: bytes
    crls: tuple[RevocationList, ...]

    def valid_at(self, now: float) -> list[int]:
        """Positions of the certificates that are within their dates."""
        return [
            position
            for position, each in enumerate(self.authorities)
            if each.not_before <= now < each.not_after
        ]

    def usable_at(self, now: float) -> list[int]:
        """Positions of the certificates under which a peer is let in: valid, and with a current CRL where
        CRLs are asked for."""
        return [each for each in self.valid_at(now) if self._is_usable(each, now)]

    def _is_usable(self, position: int, now: float) -> bool:
        return self.crl_fault(self.certificates[position], now) is None

    def has_orphans_at(self, now: float) -> bool:
        """Whether a valid CA is there without the one that issued it, and so has to be an anchor itself."""
        valid = self.valid_at(now)
        names = {self.names[position] for position in valid}
        return any(self.certificates[position].issuer.public_bytes() not in names for position in valid)

    def fault_at(self, now: float) -> Fault | None:
        """What speaks against putting it in force: one CRL that is missing or stale is enough."""
        if not self.valid_at(now):
            return self._none_valid()
        faults = (self.crl_fault(self.certificates[each], now) for each in self.valid_at(now))
        return next((fault for fault in faults if fault is not None), None)

    def unusable_at(self, now: float) -> Fault | None:
        """Why nobody can be let in any more where it is in force already. A CRL that goes stale shuts out its
        own CA (OpenSSL sees to that), and the others stay."""
        if any(self._is_usable(position, now) for position in self.valid_at(now)):
            return None
        return self.fault_at(now)

    def _none_valid(self) -> Fault:
        ends = ", ".join(describe(each) for each in self.authorities[:3])
        return Fault("no_valid_ca", f"{self.ca_file}: no CA of the bundle is valid now ({ends})")

    def crl_fault(self, authority: x509.Certificate, now: float) -> Fault | None:
        """Why what `authority` issued cannot be checked for revocation; None when it can, or need not."""
        if not self.crl_file or not is_authority(authority):
            return None
        name = authority.subject.public_bytes()
        own = [crl for crl in self.crls if crl.issuer_name == name]
        subject = authority.subject.rfc4514_string()
        if not own:
            return Fault("crl_missing", f"{self.crl_file}: no CRL of {subject}, which {self.ca_file} trusts")
        if any(crl.last_update <= now < crl.next_update for crl in own):
            return None
        if all(now < crl.last_update for crl in own):
            return Fault("crl_stale", f"{self.crl_file}: the CRL of {subject} is not valid yet")
        ended = instant(max(crl.next_update for crl in own))
        return Fault("crl_stale", f"{self.crl_file}: the CRL of {subject} is past its nextUpdate, {ended}")

    def dates(self) -> list[float]:
        """When `fault_at`, `valid_at` or `usable_at` may change."""
        dates = [date for each in self.authorities for date in (each.not_before, each.not_after)]
        return dates + [date for crl in self.crls for date in (crl.last_update, crl.next_update)]

    @property
    def next_update(self) -> float | None:
        """When the first CRL goes stale; None without CRLs."""
        return min((crl.next_update for crl in self.crls), default=None)


def _certificates(path: str, pem: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise MaterialError("parse", f"{path}: no PEM certificate in it")
    if pem.count(b"-----BEGIN CERTIFICATE-----") != pem.count(b"-----END CERTIFICATE-----"):
        raise MaterialError("torn", f"{path}: a certificate in it is cut short")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise MaterialError("parse", f"{path}: not a PEM certificate: {error}") from None


def parse_identity(cert_file: str, key_file: str, content: SetContent) -> Identity:
    """The pair in `content` (certificate file, key file).

    :raises MaterialError: ``parse``, ``torn``, ``encrypted_key``, ``key_mismatch`` or ``chain_order``.
    """
    cert_pem, key_pem = content.files
    chain = _certificates(cert_file, cert_pem)
    # Tools write parameters before the key, or certificate and key into one file.
    block = _KEY.search(key_pem)
    if block is None and b"PRIVATE KEY-----" in key_pem:
        raise MaterialError("torn", f"{key_file}: the key in it is cut short")
    if block is None:
        raise MaterialError("parse", f"{key_file}: no PEM private key in it")
    key_pem = block.group(0) + b"\n"
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except TypeError:
        raise MaterialError(
            "encrypted_key", f"{key_file}: the key is encrypted; store it without a password"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        # The library's text may quote what it read, so it stays out.
        raise MaterialError("parse", f"{key_file}: not a PEM private key") from None
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != chain[0].public_key().public_bytes(*form):
        raise MaterialError("key_mismatch", f"{key_file}: does not belong to the certificate in {cert_file}")
    for position, (certificate, issuer) in enumerate(pairwise(chain), start=1):
        if not issued_by(certificate, issuer):
            raise MaterialError(
                "chain_order",
                f"{cert_file}: certificate {position} is not signed by certificate {position + 1};"
                " put the leaf first, then each issuer",
            )
    return Identity(
        digest=content.digest,
        cert_file=cert_file,
        cert_pem=cert_pem,
        key_pem=key_pem,
        chain=tuple(CertificateInfo.of(certificate) for certificate in chain),
    )


def parse_trust(ca_file: str, crl_file: str, content: SetContent) -> Trust:
    """The bundle in `content` (CA file, and the CRL file where there is one).

    :raises MaterialError: ``parse``, ``torn`` or ``crl_signature``.
    """
    certificates = _certificates(ca_file, content.files[0])
    crl_pem = content.files[1] if crl_file else b""
    return Trust(
        digest=content.digest,
        ca_file=ca_file,
        crl_file=crl_file,
        certificates=tuple(certificates),
        names=tuple(certificate.subject.public_bytes() for certificate in certificates),
        authorities=tuple(CertificateInfo.of(certificate) for certificate in certificates),
        crl_pem=crl_pem,
        crls=tuple(_crls(crl_file, crl_pem, certificates)) if crl_file else (),
    )


def _crls(path: str, pem: bytes, authorities: Sequence[x509.Certificate]) -> list[RevocationList]:
    blocks = _CRL.findall(pem)
    if not blocks or len(blocks) != pem.count(b"-----BEGIN X509 CRL-----"):
        raise MaterialError("parse", f"{path}: not a PEM CRL, or one cut short")
    found = []
    for block in blocks:
        try:
            crl = x509.load_pem_x509_crl(block)
            revoked = frozenset(entry.serial_number for entry in crl)
        except ValueError as error:
            raise MaterialError("parse", f"{path}: not a PEM CRL: {error}") from None
        issuer = crl.issuer.rfc4514_string()
        signers = [each for each in authorities if each.subject == crl.issuer]
        # A CRL of an authority that is not trusted does no harm, and bundles are swapped in two steps.
        if signers and not any(crl.is_signature_valid(each.public_key()) for each in signers):  # type: ignore[arg-type]
            raise MaterialError("crl_signature", f"{path}: the CRL of {issuer} is not signed by that CA")
        if crl.next_update_utc is None:
            raise MaterialError("parse", f"{path}: the CRL of {issuer} has no nextUpdate")
        found.append(
            RevocationList(
                issuer=issuer,
                issuer_name=crl.issuer.public_bytes(),
                last_update=crl.last_update_utc.timestamp(),
                next_update=crl.next_update_utc.timestamp(),
                revoked=revoked,
            )
        )
    return found


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue certificates. A bundle may also pin a leaf that issues none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1  # roots from before version 3 have no extensions
    except ValueError:
        return False


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` signed `certificate`: names and signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
