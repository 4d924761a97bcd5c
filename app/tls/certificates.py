"""Certificates described for people, and their names compared with what an operator pinned."""

import datetime as dt
import warnings
from collections.abc import Sequence
from functools import lru_cache

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from app.tls.model import CertificateInfo


@lru_cache(maxsize=4096)
def certificate_info(der: bytes) -> CertificateInfo:
    """What is shown of a certificate.

    :raises ValueError: not a certificate.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return CertificateInfo.of(x509.load_der_x509_certificate(der))


def pinned(certificate: CertificateInfo, identities: Sequence[str]) -> bool:
    """Whether the certificate carries one of `identities`: a URI or a DNS name, each compared whole.

    Wildcards in the certificate do not match: a pin names one identity.
    """
    names = set()
    for san in certificate.sans:
        kind, _, name = san.partition(":")
        if kind == "URI":
            names.add(name)
        elif kind == "DNS":
            names.add(name.lower())
    return any((identity if "://" in identity else identity.lower()) in names for identity in identities)


def instant(seconds: float) -> str:
    """A point in time as people read it: ``2026-11-23T19:00:00Z``."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def describe(certificate: CertificateInfo) -> str:
    """One certificate in an error or a log line."""
    return (
        f"{certificate.subject or 'a certificate without subject'} (serial {certificate.serial},"
        f" valid {instant(certificate.not_before)} to {instant(certificate.not_after)})"
    )
