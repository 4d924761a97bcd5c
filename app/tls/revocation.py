"""Judging a live peer again: would the trust of now still let it in?

OpenSSL does this in a handshake and offers no way to repeat it, so the path is built here: signatures by
`cryptography`, dates, CA constraint and CRLs as RFC 5280 section 6 has them.
"""

import warnings
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.utils import CryptographyDeprecationWarning

from app.tls.certificates import describe
from app.tls.model import CertificateInfo
from app.tls.validation import Trust

MAX_DEPTH = 8
"""Certificates between a leaf and its anchor. Private PKIs have one or two."""


def judge_chain(chain: Sequence[bytes], trust: Trust, now: float) -> str | None:
    """Why `trust` does not accept a peer, in words; None when it does.

    :param chain: what the peer showed, DER, leaf first.
    :param now: seconds since the epoch.
    """
    if not chain:
        return "it showed no certificate"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            shown = [x509.load_der_x509_certificate(der) for der in chain[: MAX_DEPTH + 1]]
    except ValueError:
        return "it showed something that is not a certificate"
    anchors = [trust.certificates[position] for position in trust.valid_at(now)]
    fault = trust.fault_at(now)
    if fault is not None:
        return fault.message
    return _path_fault(shown[0], shown[1:], anchors, trust, now)


def _path_fault(
    leaf: x509.Certificate,
    intermediates: list[x509.Certificate],
    anchors: list[x509.Certificate],
    trust: Trust,
    now: float,
) -> str | None:
    certificate = leaf
    for _ in range(MAX_DEPTH):
        info = CertificateInfo.of(certificate)
        if not info.not_before <= now < info.not_after:
            return f"{describe(info)} is outside its dates"
        if certificate in anchors:
            return None
        issuer = _issuer(certificate, anchors) or _issuer(certificate, intermediates)
        if issuer is None:
            return f"no CA in {trust.ca_file} signed {describe(info)}, issued by {info.issuer}"
        if trust.crl_file and (reason := _revocation(certificate, issuer, trust)) is not None:
            return reason
        if issuer in anchors:
            return None
        certificate = issuer
    return f"its chain is longer than {MAX_DEPTH} certificates"


def _issuer(certificate: x509.Certificate, candidates: list[x509.Certificate]) -> x509.Certificate | None:
    for candidate in candidates:
        if candidate.subject != certificate.issuer or not _is_authority(candidate):
            continue
        try:
            certificate.verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return candidate
    return None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1  # roots from before version 3 have no extensions
    except ValueError:
        return False


def _revocation(certificate: x509.Certificate, issuer: x509.Certificate, trust: Trust) -> str | None:
    name = issuer.subject.public_bytes()
    own = [crl for crl in trust.crls if crl.issuer_name == name]
    if not own:
        return f"{trust.crl_file}: no CRL of {issuer.subject.rfc4514_string()}"
    if any(certificate.serial_number in crl.revoked for crl in own):
        return f"{describe(CertificateInfo.of(certificate))} is revoked by {trust.crl_file}"
    return None


def has_shrunk(old: Trust | None, new: Trust | None, now: float) -> bool:
    """Whether `new` refuses somebody whom `old` let in: a CA removed, or a certificate revoked."""
    if new is None:
        return False
    if old is None:
        return True
    before = {old.authorities[position].fingerprint for position in old.valid_at(now)}
    after = {new.authorities[position].fingerprint for position in new.valid_at(now)}
    if before - after:
        return True
    revoked_before = {(crl.issuer_name, serial) for crl in old.crls for serial in crl.revoked}
    return any((crl.issuer_name, serial) not in revoked_before for crl in new.crls for serial in crl.revoked)
