"""What to do about a failure. Pure: from the reason to a sentence that names file and key."""

from collections.abc import Sequence

from app.config.model import EndpointGroup
from app.tls.certificates import instant
from app.tls.model import CertificateInfo

SOON, VERY_SOON = 14 * 86_400.0, 86_400.0
"""Seconds before the end of a certificate at which it is worth a warning."""

_RESOLVE = "check the name, and what DNS answers on this machine"
_CONNECT = "see whether the endpoint runs and listens on this port, and whether a firewall is in between"
_OURS = "our certificate is the cause: have it signed by a CA that the endpoint trusts, or add its CA there"

_ADVICE = {
    "resolve": _RESOLVE,
    "dns": _RESOLVE,
    "connect": _CONNECT,
    "proxy": "look at HTTPS_PROXY and NO_PROXY in the environment of the querier",
    "timeout": "something accepts connections there and says nothing: is it the right port?",
    "not_tls": "leave tls_config out of the group for a plaintext endpoint, or switch TLS on at the endpoint",
    "protocol_version": "set min_version in tls_config, or update the endpoint",
    "name_mismatch": "write the name that the certificate carries, or set server_name in tls_config to it",
    "identity": "correct peer_identities in tls_config, or give the endpoint a certificate with one of them",
    "expired": "renew the endpoint's certificate, or the CA above it",
    "not_yet_valid": "compare the clocks of both machines",
    "revoked": "the endpoint needs another certificate; crl_file says that this one is revoked",
    "crl": "renew crl_file: every CA of ca_file needs a current CRL in it",
    "purpose": "the endpoint's certificate needs the extended key usage serverAuth",
    "weak": "the endpoint's chain needs longer keys, or signatures with SHA-256",
    "alpn": "it is no gRPC endpoint, or something in between ends TLS: is it the right port?",
    "handshake_failure": "compare cipher suites and versions; or the endpoint wants a client certificate",
    "unrecognized_name": "set server_name in tls_config to a name that the endpoint knows",
    "settings": "it is no gRPC endpoint, or it speaks TLS and the group has no tls_config",
    "closed": "it is no gRPC endpoint, or it speaks TLS and the group has no tls_config",
    "UNIMPLEMENTED": "it serves gRPC, but not the Info API: is it a Thanos component from 0.20 on?",
    "UNAVAILABLE": "the endpoint says itself that it is not ready; look at its log",
    "DEADLINE_EXCEEDED": "the endpoint is slow to answer; look at its load, or raise --timeout",
    "malformed": "its answer is no Info: is it a Thanos component?",
}


def advice(reason: str, group: EndpointGroup) -> str:
    """What to do about a failure.

    :param reason: a slug of a connection failure, or the name of a gRPC status.
    """
    tls = group.tls
    if reason == "unknown_ca":
        where = f"ca_file ({tls.ca_file})" if tls is not None and tls.ca_file else "ca_file in tls_config"
        return f"put the CA that signed the endpoint's certificate into {where}"
    if reason in ("refused_no_certificate", "connection_closed") and (tls is None or not tls.cert_file):
        return "set cert_file and key_file in tls_config: the endpoint wants a client certificate"
    if reason.startswith("refused") or reason == "connection_closed":
        named = f" (cert_file: {tls.cert_file})" if tls is not None else ""
        return f"{_OURS}{named}"
    return _ADVICE.get(reason, "the querier's log at level debug, and the endpoint's own, may say more")


def warnings_of(
    group: EndpointGroup, certificates: Sequence[tuple[str, CertificateInfo]], now: float
) -> tuple[str, ...]:
    """What is not a failure yet.

    :param certificates: with what each is.
    :param now: seconds since the epoch.
    """
    found = []
    if group.tls is None:
        found.append("plaintext: everybody on the way can read and change what is asked and answered")
    elif group.tls.insecure_skip_verify:
        found.append("insecure_skip_verify: the endpoint is not verified, so it may be anybody")
    for role, certificate in certificates:
        left = certificate.not_after - now
        if left < SOON:
            when = "less than a day" if left < VERY_SOON else "less than 14 days"
            found.append(f"{role} {certificate.subject} ends in {when}, on {instant(certificate.not_after)}")
    return tuple(found)
