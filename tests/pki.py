"""A small PKI for tests: CAs, leaves, CRLs, and the ways in which operators' tools write them to disk.

P-256 keys throughout: a key takes a fraction of a millisecond.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = 86_400.0


def _time(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _now() -> float:
    return dt.datetime.now(dt.UTC).timestamp()


@dataclass(frozen=True)
class Leaf:
    """A certificate with what it needs to be served: PEM of the chain (leaf first) and of the key."""

    certificate: x509.Certificate
    chain_pem: bytes
    key_pem: bytes

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:x}"

    def write(self, directory: Path, name: str = "tls") -> tuple[Path, Path]:
        """Write `name`.crt and `name`.key, each by an atomic rename; returns their paths."""
        cert, key = directory / f"{name}.crt", directory / f"{name}.key"
        replace(key, self.key_pem)
        replace(cert, self.chain_pem)
        return cert, key


class CA:
    """Immutable: a certificate authority; `parent` makes it an intermediate one.

    :param not_before, not_after: seconds since the epoch; by default valid since yesterday for ten days.
    """

    def __init__(
        self,
        name: str,
        *,
        parent: CA | None = None,
        not_before: float | None = None,
        not_after: float | None = None,
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.parent = parent
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if parent is None else parent.certificate.subject
        builder = _builder(subject, issuer, self.key.public_key(), not_before, not_after, None)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(sign=True), critical=True)
        signing = self.key if parent is None else parent.key
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
        )
        self.certificate: x509.Certificate = builder.sign(signing, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        *,
        dns: Sequence[str] = (),
        uri: Sequence[str] = (),
        ip: Sequence[str] = (),
        common_name: str = "leaf",
        not_before: float | None = None,
        not_after: float | None = None,
        serial: int | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> Leaf:
        """A leaf for servers and clients alike; without names it is for ``localhost`` and ``127.0.0.1``."""
        if not (dns or uri or ip):
            dns, ip = ("localhost",), ("127.0.0.1",)
        key = key or ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
        names += [x509.UniformResourceIdentifier(name) for name in uri]
        names += [x509.IPAddress(ipaddress.ip_address(name)) for name in ip]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        certificate = (
            _builder(subject, self.certificate.subject, key.public_key(), not_before, not_after, serial)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(_key_usage(sign=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        chain = certificate.public_bytes(serialization.Encoding.PEM)
        authority: CA | None = self
        while authority is not None and authority.parent is not None:
            chain += authority.pem
            authority = authority.parent
        return Leaf(certificate, chain, _key_pem(key))

    def crl(
        self,
        revoked: Iterable[x509.Certificate] = (),
        *,
        last_update: float | None = None,
        next_update: float | None = None,
    ) -> bytes:
        """PEM of a CRL that revokes `revoked`; by default from an hour ago until tomorrow."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(_time(_now() - 3600 if last_update is None else last_update))
            .next_update(_time(_now() + DAY if next_update is None else next_update))
        )
        for certificate in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(_time(_now() - 3600))
                .build()
            )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    not_before: float | None,
    not_after: float | None,
    serial: int | None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(_time(_now() - DAY if not_before is None else not_before))
        .not_valid_after(_time(_now() + 10 * DAY if not_after is None else not_after))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def replace(path: Path, content: bytes) -> None:
    """Write a file as careful tools do: a new file beside it, then a rename."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_bytes(content)
    scratch.chmod(0o600)
    os.replace(scratch, path)


class KubernetesVolume:
    """Mutable: a directory written as kubelet writes a Secret, swapped whole by `write`.

    The files are links to ``..data/NAME``, and ``..data`` is a link to the directory of one generation.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._generation = 0
        directory.mkdir(parents=True, exist_ok=True)

    def write(self, files: dict[str, bytes]) -> None:
        """Put a new generation in place in one rename."""
        self._generation += 1
        target = self.directory / f"..generation_{self._generation}"
        target.mkdir()
        for name, content in files.items():
            (target / name).write_bytes(content)
        scratch = self.directory / "..data_tmp"
        scratch.symlink_to(target.name)
        os.replace(scratch, self.directory / "..data")
        for name in files:
            link = self.directory / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
