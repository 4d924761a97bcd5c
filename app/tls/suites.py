"""Cipher and curve names as operators know them, in Go's spelling or OpenSSL's, to what Python can set."""

import ssl
from collections.abc import Iterable, Sequence

from app.tls.model import TlsPolicy

# Go's names of the suites up to TLS 1.2 that OpenSSL has.
_GO_CIPHERS = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
}
# Suites of TLS 1.3 cannot be chosen, here as little as in Go: naming them is allowed and changes nothing.
_TLS13_SUITES = frozenset(
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
)
_GO_CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "P-256": "prime256v1",
    "P-384": "secp384r1",
    "P-521": "secp521r1",
    "secp256r1": "prime256v1",
}


def cipher_string(names: Iterable[str]) -> str:
    """What `SSLContext.set_ciphers` takes; "" where `names` say nothing about TLS 1.2."""
    return ":".join(_GO_CIPHERS.get(name, name) for name in names if name not in _TLS13_SUITES)


def restrict(context: ssl.SSLContext, policy: TlsPolicy) -> None:
    """Apply the ciphers and curves of `policy`.

    :raises ssl.SSLError, ValueError: a name is not known; `policy_problems` says which.
    """
    ciphers = cipher_string(policy.ciphers)
    if ciphers:
        context.set_ciphers(ciphers)
    for curve in policy.curves:  # one at most: see policy_problems
        context.set_ecdh_curve(_GO_CURVES.get(curve, curve))


def policy_problems(policy: TlsPolicy) -> Sequence[str]:
    """What cannot be done of `policy`, each in a sentence; empty when all can."""
    problems = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name in policy.ciphers:
        cipher = cipher_string([name])
        try:
            if cipher:
                context.set_ciphers(cipher)
        except ssl.SSLError:
            problems.append(f"{name} is no cipher suite that this OpenSSL has ({ssl.OPENSSL_VERSION})")
    for name in policy.curves:
        try:
            context.set_ecdh_curve(_GO_CURVES.get(name, name))
        except (ValueError, ssl.SSLError):
            problems.append(f"{name} is no curve that this OpenSSL has ({ssl.OPENSSL_VERSION})")
    if len(policy.curves) > 1:
        # The last one set would silently be the only one.
        problems.append(
            f"Python's ssl takes one curve, not {len(policy.curves)} ({', '.join(policy.curves)});"
            " name one, or none for OpenSSL's own list"
        )
    return problems
