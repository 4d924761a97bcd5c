#!/usr/bin/env python3
"""Make a development PKI: two realms, each with its own CA, and certificates for servers and clients.

What is there and still good is left alone, so it can be run at every start. Nothing here is for production:
the keys of the CAs lie beside what they sign.
"""

import argparse
import datetime as dt
import ipaddress
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

REALMS = ("eu", "us")
MEMBERS = ("sidecar-a", "sidecar-b", "querier")
"""In each realm: a sidecar for each of an HA pair, and the querier as the sidecars of that realm know it."""

CA_DAYS = 3650
BACKDATED = dt.timedelta(minutes=5)
"""Clocks of containers and hosts differ a little."""


@dataclass(frozen=True)
class Holder:
    """Who holds a leaf.

    :param realm: whose CA signs it.
    :param folder: where it goes, below the output directory.
    :param names: DNS names beside ``localhost``.
    """

    realm: str
    folder: str
    names: tuple[str, ...]

    @property
    def uri(self) -> str:
        return f"spiffe://{self.realm}.crossrealm.dev/{Path(self.folder).name}"

    def subject_names(self) -> x509.SubjectAlternativeName:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in (*self.names, "localhost")]
        names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ("127.0.0.1", "::1")]
        return x509.SubjectAlternativeName([*names, x509.UniformResourceIdentifier(self.uri)])


def holders() -> list[Holder]:
    """All leaves of the PKI. The querier's own listener, and who calls it, are of the first realm."""
    found = [
        Holder(realm, f"{realm}/{name}", (name, f"{name}.{realm}", f"{realm}-{name}"))
        for realm in REALMS
        for name in MEMBERS
    ]
    found.append(Holder(REALMS[0], "listener/querier", ("querier", "crossrealm")))
    found.append(Holder(REALMS[0], "listener/client", ("client",)))
    return found


@dataclass(frozen=True)
class Authority:
    """One CA with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Output:
    """Mutable: the directory that is written to, and whether anything was.

    :param key_mode: permissions of private keys.
    """

    def __init__(self, directory: Path, key_mode: int) -> None:
        self.directory = directory
        self._key_mode = key_mode
        self.written = 0

    def write(self, name: str, content: bytes, *, key: bool = False) -> None:
        """By rename, so that whoever reads sees the old file or the new one, whole."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.new")
        mode = self._key_mode if key else 0o644
        scratch.unlink(missing_ok=True)
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        scratch.replace(path)
        self.written += 1
        sys.stdout.write(f"wrote {path}\n")

    def read(self, name: str) -> bytes:
        """Empty where there is none."""
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return b""


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    name: str, issuer: x509.Name | None, key: ec.EllipticCurvePublicKey, days: float
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _lasts(certificate: x509.Certificate, days: float) -> bool:
    return certificate.not_valid_after_utc > dt.datetime.now(dt.UTC) + dt.timedelta(days=days)


def authority(output: Output, realm: str) -> Authority:
    """The CA of `realm`: the one that is there, where it is good for another day."""
    cert_name, key_name = f"{realm}/ca.crt", f"{realm}/ca.key"
    try:
        certificate = x509.load_pem_x509_certificate(output.read(cert_name))
        key = serialization.load_pem_private_key(output.read(key_name), None)
        belongs = key.public_key() == certificate.public_key()
        if isinstance(key, ec.EllipticCurvePrivateKey) and belongs and _lasts(certificate, 1):
            return Authority(certificate, key)
    except ValueError:
        pass  # none yet, or no longer whole
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(f"Crossrealm development CA {realm}", None, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    output.write(key_name, _pem(key), key=True)
    output.write(cert_name, certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(certificate, key)


def _good(output: Output, holder: Holder, ca: Authority, days: float) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(output.read(f"{holder.folder}/tls.crt"))
        key = serialization.load_pem_private_key(output.read(f"{holder.folder}/tls.key"), None)
        certificate.verify_directly_issued_by(ca.certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    same = key.public_key() == certificate.public_key() and names == holder.subject_names()
    return same and _lasts(certificate, days)


def leaf(output: Output, holder: Holder, ca: Authority, days: float, *, renew: bool) -> None:
    """Write tls.crt, tls.key and ca.crt of `holder`, where they are not good for a third of `days`."""
    bundle = ca.certificate.public_bytes(serialization.Encoding.PEM)
    if output.read(f"{holder.folder}/ca.crt") != bundle:
        output.write(f"{holder.folder}/ca.crt", bundle)
    if not renew and _good(output, holder, ca, days / 3):
        return
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(Path(holder.folder).name, ca.certificate.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(holder.subject_names(), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), critical=False
        )
        .sign(ca.key, hashes.SHA256())
    )
    output.write(f"{holder.folder}/tls.key", _pem(key), key=True)
    output.write(f"{holder.folder}/tls.crt", certificate.public_bytes(serialization.Encoding.PEM))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    :return: the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "directory",
        nargs="?",
        type=Path,
        default=Path(__file__).resolve().parent / "out",
        help="where to (default: out/ beside this script)",
    )
    parser.add_argument("--days", type=float, default=30.0, help="how long leaves last (default: 30)")
    parser.add_argument(
        "--renew", action="store_true", help="make new leaves although the old are good: a rotation by hand"
    )
    parser.add_argument(
        "--key-mode",
        type=lambda text: int(text, 8),
        default=0o600,
        help="permissions of private keys, octal (default: 600); containers of another user need 644",
    )
    options = parser.parse_args(arguments)
    output = Output(options.directory, options.key_mode)
    try:
        authorities = {realm: authority(output, realm) for realm in REALMS}
        for holder in holders():
            leaf(output, holder, authorities[holder.realm], options.days, renew=options.renew)
    except OSError as error:
        sys.stderr.write(f"make_pki: {error}\n")
        return 1
    if not output.written:
        sys.stdout.write(f"{output.directory}: all good, nothing to do\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
