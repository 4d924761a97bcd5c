"""Validated bytes to TLS contexts. A context is built once and never touched again.

The standard library loads keys only from paths. An anonymous file in memory gives it one, so that it reads
the very bytes that were validated, and no key touches a disk.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from cryptography.hazmat.primitives import serialization

from app.tls.model import Role, TlsPolicy
from app.tls.validation import Identity, Trust

handshake_objects: ContextVar[list[ssl.SSLObject] | None] = ContextVar("handshake_objects", default=None)
"""Where a task that connects finds the TLS object of its handshake after the handshake failed."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class ObservedContext(ssl.SSLContext):
    """A context whose TLS objects the connecting task can look at: the event loop hands out a transport
    only when a handshake succeeds, and the reason of a failure is in the certificates that came."""

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        made = super().wrap_bio(*args, **options)
        objects = handshake_objects.get()
        if objects is not None:
            objects.append(made)
        return made


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("crossrealm", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content) if len(content) < 1 << 16 else _write_all(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _refuse_password() -> str:
    # Without this OpenSSL would ask on the terminal. Encrypted keys were refused before.
    raise ssl.SSLError("the key is encrypted")


def build_context(
    role: Role, policy: TlsPolicy, identity: Identity | None, trust: Trust | None, now: float
) -> ssl.SSLContext:
    """A context of `role`.

    :param identity: None for a client without certificate.
    :param trust: None for a client that uses the system's roots, or for a side that does not verify.
    :param now: seconds since the epoch; members of the bundle outside their dates are left out.
    :raises ssl.SSLError: OpenSSL refuses what was validated, for example a key that is too short for it.
    """
    server = role is Role.SERVER
    context = ObservedContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[policy.min_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if server:
        # Resuming would skip expiry, CRLs and a removed CA.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    if policy.alpn:
        context.set_alpn_protocols(list(policy.alpn))
    if policy.ciphers:
        context.set_ciphers(":".join(policy.ciphers))
    for curve in policy.curves:
        context.set_ecdh_curve(curve)
    _set_verification(context, server, policy, trust, now)
    if identity is not None:
        with _in_memory(identity.cert_pem.rstrip() + b"\n" + identity.key_pem) as path:
            context.load_cert_chain(path, password=_refuse_password)
    return context


def _set_verification(
    context: ssl.SSLContext, server: bool, policy: TlsPolicy, trust: Trust | None, now: float
) -> None:
    if not policy.verify_peer:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return
    # A pinned identity replaces the host name, never the chain; rpc checks the pin after the handshake.
    context.check_hostname = not server and not policy.peer_identities
    context.verify_mode = ssl.CERT_REQUIRED
    if trust is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    # As Go does: an intermediate CA in the bundle is an anchor.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(
        cadata=b"".join(
            trust.certificates[position].public_bytes(serialization.Encoding.DER)
            for position in trust.valid_at(now)
        )
    )
    if trust.crl_file:
        with _in_memory(trust.crl_pem) as path:
            context.load_verify_locations(cafile=path)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
