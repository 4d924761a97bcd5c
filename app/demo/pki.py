"""A throwaway PKI: authorities, leaves, and how they get onto the disk.

Directories are swapped as Kubernetes swaps a mounted secret: the files are written into a new directory,
and one rename of the `..data` link makes all of them visible together. A pair is never torn.
"""

import datetime
import ipaddress
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Clocks of two machines differ; nothing here should be refused as not yet valid.
_BACKDATED = datetime.timedelta(minutes=1)

CERT = "tls.crt"
KEY = "tls.key"
BUNDLE = "ca.crt"


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf with its key.

    :param serial: lower-case hex without separators.
    :param not_after: seconds since the epoch.
    """

    certificate: bytes
    key: bytes
    serial: str
    not_after: float


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a leaf is for.

    :param name: the common name.
    :param uris: SPIFFE URIs.
    """

    name: str
    uris: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: float
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(seconds=lifetime))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


class Authority:
    """Immutable: one self-signed CA.

    :param lifetime: seconds.
    """

    def __init__(self, name: str, lifetime: float = 86_400) -> None:
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        self._certificate = (
            _builder(_name(name), _name(name), public, lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, subject: Subject, lifetime: float) -> Pair:
        """A new key and a leaf for it, good for client and server.

        :param lifetime: seconds.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in subject.uris]
        names += [x509.DNSName(name) for name in subject.dns]
        names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in subject.ips]
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(_name(subject.name), self._certificate.subject, key.public_key(), lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(is_authority=False), critical=True)
            .add_extension(usages, critical=False)
            .add_extension(signer, critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        leaf = builder.sign(self._key, hashes.SHA256())
        return Pair(
            certificate=leaf.public_bytes(serialization.Encoding.PEM),
            key=_key_pem(key),
            serial=f"{leaf.serial_number:x}",
            not_after=leaf.not_valid_after_utc.timestamp(),
        )


class SecretDirectory:
    """A directory whose files are replaced together. Mutable: the number of the version, by `write` alone.

    :param path: made if it is missing, readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version = 0
        path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, files: Mapping[str, bytes]) -> None:
        """Make `files` (name -> contents) the directory's contents, all at once.

        :raises OSError: the disk is full, or the directory is gone.
        """
        data = self.path / "..data"
        previous = os.readlink(data) if data.is_symlink() else None
        self._version += 1
        version = self.path / f"..version-{os.getpid()}-{self._version}"
        version.mkdir(mode=0o700)
        for name, contents in files.items():
            descriptor = os.open(version / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(contents)
        staged = self.path / "..data_staged"
        staged.symlink_to(version.name)
        staged.rename(data)
        for name in files:
            visible = self.path / name
            if not visible.is_symlink():
                visible.symlink_to(Path("..data") / name)
        if previous is not None:
            shutil.rmtree(self.path / previous)


class Identity:
    """A leaf and its key on disk. Mutable: `pair`, the one in force, by `write` alone."""

    def __init__(self, path: Path, subject: Subject) -> None:
        self.subject = subject
        self._directory = SecretDirectory(path)
        self.cert_file = str(path / CERT)
        self.key_file = str(path / KEY)
        self.pair: Pair | None = None

    def write(self, pair: Pair) -> None:
        self._directory.write({CERT: pair.certificate, KEY: pair.key})
        self.pair = pair


class Trust:
    """A CA bundle on disk. Mutable: `authorities`, those in force, by `write` alone."""

    def __init__(self, path: Path) -> None:
        self._directory = SecretDirectory(path)
        self.ca_file = str(path / BUNDLE)
        self.authorities: tuple[Authority, ...] = ()

    def write(self, authorities: Sequence[Authority]) -> None:
        self._directory.write({BUNDLE: b"".join(authority.pem for authority in authorities)})
        self.authorities = tuple(authorities)
