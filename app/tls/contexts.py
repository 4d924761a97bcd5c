"""Validated bytes to TLS contexts. A context is built once and never touched again.

The standard library loads keys only from paths. An anonymous file in memory gives it one, so that it reads
the very bytes that were validated, and no key touches a disk.

A listener never resumes a session, since that skips expiry, CRLs and a removed CA. TLS 1.3 resumes by ticket
only, and none are issued. TLS 1.2 also resumes by session id, out of a cache in the context that Python
cannot switch off (measured: `OP_NO_TICKET` alone leaves it on). So each connection that may be TLS 1.2 starts
on a context of its own, which has a cache that no other connection sees, and goes over to the shared one,
where certificate and CAs are, when the ClientHello has come: 0.13 ms, where loading the CAs again costs 1 to
20 ms.
"""

import os
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from cryptography.hazmat.primitives import serialization

from app.tls.model import Role, TlsPolicy
from app.tls.peer import shown_chain
from app.tls.revocation import judge_chain
from app.tls.suites import restrict
from app.tls.validation import Fault, Identity, Trust

handshake_objects: ContextVar[list[ssl.SSLObject] | None] = ContextVar("handshake_objects", default=None)
"""Where a task that connects or accepts finds the TLS object of its handshake after the handshake failed."""

handshake_output: ContextVar[list[ssl.MemoryBIO] | None] = ContextVar("handshake_output", default=None)
"""Where a task that accepts finds, once a handshake has failed, what is left to send: the alert that says
why. The event loops throw it away (measured: 0 bytes), and the client sees no more than a reset."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_VERIFY_FAILED = "CERTIFICATE_VERIFY_FAILED"

Recheck = Callable[[Sequence[bytes]], str | None]


class ObservedObject(ssl.SSLObject):
    """The TLS of one connection. Mutable: what `ObservedContext.wrap_bio` sets, once."""

    outgoing: ssl.MemoryBIO | None = None
    last_words: ssl.MemoryBIO | None = None
    recheck: Recheck | None = None
    first_context: ssl.SSLContext | None = None
    """Kept alive: OpenSSL holds on to its session cache and calls back into it on a second ClientHello."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            if self.last_words is not None and self.outgoing is not None:
                self.last_words.write(self.outgoing.read())
            raise
        if self.recheck is not None:
            reason = self.recheck(shown_chain(self))
            if reason is not None:
                error = ssl.SSLCertVerificationError(1, reason)
                # As OpenSSL's own errors have them.
                error.reason, error.verify_code, error.verify_message = _VERIFY_FAILED, 0, reason
                raise error


class ObservedContext(ssl.SSLContext):
    """Immutable once built. Its TLS objects can be looked at by the task that connects: the event loop hands
    out a transport only when a handshake succeeds, and the reason of a failure is in what came."""

    sslobject_class = ObservedObject
    recheck: Recheck | None = None
    make_first: Callable[[], ssl.SSLContext] | None = None

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any
    ) -> ssl.SSLObject:
        first = None if self.make_first is None else self.make_first()
        if first is None:
            made = super().wrap_bio(incoming, outgoing, *args, **options)
        else:
            made = first.wrap_bio(incoming, outgoing, *args, **options)
        assert isinstance(made, ObservedObject)
        made.recheck, made.first_context = self.recheck, first
        objects, outputs = handshake_objects.get(), handshake_output.get()
        if objects is not None:
            objects.append(made)
        if outputs is not None:
            made.outgoing, made.last_words = outgoing, ssl.MemoryBIO()
            outputs.append(made.last_words)
        return made


class _FirstContext(ssl.SSLContext):
    """Immutable once built: what one connection starts on, see above."""

    sslobject_class = ObservedObject


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("crossrealm", os.MFD_CLOEXEC)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


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
    :raises ssl.SSLError, ValueError: OpenSSL refuses what was validated, or `policy` names what it lacks.
    """
    server = role is Role.SERVER
    context = ObservedContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    rules = _chain_rules(trust, now)
    _set_policy(context, role, policy, rules)
    if policy.verify_peer:
        _load_trust(context, trust, now)
    if identity is not None:
        _load_identity(context, identity)
    if server and policy.min_version == "1.2":

        def go_over(tls: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
            tls.context = context

        def make_first() -> ssl.SSLContext:
            # Verify mode, CRL flags, version and curves stay those of the first context: set both alike.
            first = _FirstContext(ssl.PROTOCOL_TLS_SERVER)
            _set_policy(first, role, policy, rules)
            first.sni_callback = go_over
            return first

        context.make_first = make_first
    return context


def prove_identity(identity: Identity) -> Fault | None:
    """Whether OpenSSL takes what was validated: it refuses keys that are too short for it, for example."""
    try:
        _load_identity(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), identity)
    except (ssl.SSLError, ValueError) as error:
        return Fault("openssl", f"{identity.cert_file}: OpenSSL refuses it: {error}")
    return None


def prove_trust(trust: Trust, now: float) -> Fault | None:
    """As `prove_identity`, for a bundle with its CRLs."""
    try:
        _load_trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust, now)
    except (ssl.SSLError, ValueError) as error:
        return Fault("openssl", f"{trust.ca_file}: OpenSSL refuses it: {error}")
    return None


def _set_policy(context: ssl.SSLContext, role: Role, policy: TlsPolicy, chain_rules: ssl.VerifyFlags) -> None:
    """Everything but certificates."""
    server = role is Role.SERVER
    context.minimum_version = _VERSIONS[policy.min_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if server:
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    if policy.alpn:
        context.set_alpn_protocols(list(policy.alpn))
    restrict(context, policy)
    if not policy.verify_peer:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return
    # A pinned URI replaces the host name, never the chain; rpc checks the pin after the handshake.
    pinned_uri = any("://" in identity for identity in policy.peer_identities)
    context.check_hostname = not server and not pinned_uri
    if not server:
        context.hostname_checks_common_name = False  # as Go, and RFC 9525: names are in the SANs
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= chain_rules


def _chain_rules(trust: Trust | None, now: float) -> ssl.VerifyFlags:
    rules = ssl.VerifyFlags(0)
    if trust is None:
        return rules
    # As Go does: an intermediate CA in the bundle is an anchor. Only where it has to be one: where OpenSSL
    # stops at an anchor that is not a root, it cannot check that anchor's own CRL, and refuses everybody.
    orphans = trust.has_orphans_at(now)
    if orphans:
        rules |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if trust.crl_file:
        rules |= ssl.VERIFY_CRL_CHECK_LEAF if orphans else ssl.VERIFY_CRL_CHECK_CHAIN
    return rules


def _load_trust(context: ssl.SSLContext, trust: Trust | None, now: float) -> None:
    if trust is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    valid = [trust.certificates[position] for position in trust.valid_at(now)]
    der = b"".join(certificate.public_bytes(serialization.Encoding.DER) for certificate in valid)
    context.load_verify_locations(cadata=der)
    if not trust.crl_file:
        return
    with _in_memory(trust.crl_pem) as path:
        context.load_verify_locations(cafile=path)
    if isinstance(context, ObservedContext) and trust.has_orphans_at(now):
        # OpenSSL checks the leaf alone here (see _chain_rules); this checks the CAs between as well.
        context.recheck = lambda chain: judge_chain(chain, trust, time.time())


def _load_identity(context: ssl.SSLContext, identity: Identity) -> None:
    with _in_memory(identity.cert_pem.rstrip() + b"\n" + identity.key_pem) as path:
        context.load_cert_chain(path, password=_refuse_password)
