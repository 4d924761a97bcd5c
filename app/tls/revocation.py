"""Judging a live peer again: would the trust of now still let it in?

OpenSSL does this in a handshake and offers no way to repeat it, so the path is built here: signatures by
`cryptography`, dates, CA constraint and CRLs as RFC 5280 section 6 has them.
"""

import warnings
from collections.abc import Sequence

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from app.tls.certificates import describe
from app.tls.model import CertificateInfo
from app.tls.validation import Trust, is_authority, issued_by

MAX_DEPTH = 8
"""Certificates between a leaf and its anchor. Private PKIs have one or two."""

MAX_STEPS = 64
"""Certificates looked at for one peer, who chooses what to show: each costs a signature or more."""


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
    if (fault := trust.unusable_at(now)) is not None:
        return fault.message
    path = _Path(trust, now, shown[1:])
    return None if path.reaches_anchor(shown[0]) else path.reason


class _Path:
    """The search for one path from a leaf to an anchor. Mutable: `reason`, the first obstacle met, and the
    number of certificates looked at; both belong to one search.

    Every issuer is tried, as OpenSSL does: a cross-signed CA comes in several certificates, of which one may
    lead to an anchor that is gone and another to one that is there.
    """

    def __init__(self, trust: Trust, now: float, intermediates: Sequence[x509.Certificate]) -> None:
        self._trust = trust
        self._now = now
        valid = trust.valid_at(now)
        self._anchors = frozenset(trust.authorities[position].fingerprint for position in valid)
        self._issuers = [(trust.names[position], trust.certificates[position]) for position in valid]
        self._issuers += [(each.subject.public_bytes(), each) for each in intermediates]
        self._steps = 0
        self.reason = f"its chain is longer than {MAX_DEPTH} certificates"

    def reaches_anchor(self, certificate: x509.Certificate, depth: int = 0) -> bool:
        self._steps += 1
        if depth > MAX_DEPTH or self._steps > MAX_STEPS:
            return False
        info = CertificateInfo.of(certificate)
        if not info.not_before <= self._now < info.not_after:
            return self._obstacle(f"{describe(info)} is outside its dates")
        if info.fingerprint in self._anchors:
            return True
        wanted = certificate.issuer.public_bytes()
        candidates = [each for name, each in self._issuers if name == wanted]
        issuers = [each for each in candidates if is_authority(each) and issued_by(certificate, each)]
        if not issuers:
            return self._obstacle(
                f"no CA in {self._trust.ca_file} signed {describe(info)}, issued by {info.issuer}"
            )
        for issuer in issuers:
            revoked = self._revocation(certificate, issuer)
            if revoked is not None:
                self._obstacle(revoked)
            elif self.reaches_anchor(issuer, depth + 1):
                return True
        return False

    def _obstacle(self, reason: str) -> bool:
        if self.reason.startswith("its chain is longer"):
            self.reason = reason
        return False

    def _revocation(self, certificate: x509.Certificate, issuer: x509.Certificate) -> str | None:
        if not self._trust.crl_file:
            return None
        if (fault := self._trust.crl_fault(issuer, self._now)) is not None:
            return fault.message
        name = issuer.subject.public_bytes()
        for crl in self._trust.crls:
            if crl.issuer_name == name and certificate.serial_number in crl.revoked:
                return f"{describe(CertificateInfo.of(certificate))} is revoked by {self._trust.crl_file}"
        return None


def has_shrunk(old: Trust | None, new: Trust | None, before: frozenset[str], after: frozenset[str]) -> bool:
    """Whether somebody may be refused now who was let in: a CA is gone, or a certificate revoked.

    :param before, after: fingerprints of the CAs under which peers were, and are, let in.
    """
    if before - after:
        return True
    if old is None or new is None:
        return old is None and new is not None and bool(new.crls)
    revoked: dict[bytes, frozenset[int]] = {}
    for crl in old.crls:
        revoked[crl.issuer_name] = revoked.get(crl.issuer_name, frozenset()) | crl.revoked
    return any(crl.revoked - revoked.get(crl.issuer_name, frozenset()) for crl in new.crls)
