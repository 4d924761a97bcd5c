"""Cipher suites and curves by the names that Go uses, for flags and files written for Go programs."""

from collections.abc import Sequence

# Go's names (the registry's) for what OpenSSL still offers for TLS 1.2 with forward secrecy.
_CIPHERS = {
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
# Those of TLS 1.3 are always on, here as in Go.
_ALWAYS_ON = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
_CURVES = {
    "CurveP256": "prime256v1",
    "P256": "prime256v1",
    "CurveP384": "secp384r1",
    "P384": "secp384r1",
    "CurveP521": "secp521r1",
    "P521": "secp521r1",
    "X25519": "X25519",
}


def openssl_ciphers(names: Sequence[str]) -> tuple[str, ...]:
    """OpenSSL's names of TLS 1.2 suites; those of TLS 1.3 are always on and left out.

    :raises ValueError: a name is unknown or its suite is not secure.
    """
    unknown = [each for each in names if each not in _CIPHERS and each not in _ALWAYS_ON and "-" not in each]
    if unknown:
        raise ValueError(
            f"unknown or insecure: {', '.join(unknown)}; known are {', '.join(sorted(_CIPHERS))}"
        )
    return tuple(_CIPHERS.get(each, each) for each in names if each not in _ALWAYS_ON)


def openssl_curves(names: Sequence[str]) -> tuple[str, ...]:
    """OpenSSL's name of the one curve that is to be used.

    Python's ssl can restrict a context to one curve, and to no list.

    :raises ValueError: anything else is asked for.
    """
    if not names:
        return ()
    if len(names) == 1 and names[0] in _CURVES:
        return (_CURVES[names[0]],)
    raise ValueError(
        f"{', '.join(names)}: one of CurveP256, CurveP384, CurveP521 and X25519 can be asked for;"
        " without the flag all of them are offered"
    )
