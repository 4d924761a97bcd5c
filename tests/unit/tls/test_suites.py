"""Cipher and curve names in Go's spelling and OpenSSL's."""

import pytest

from app.tls.model import TlsPolicy
from app.tls.suites import cipher_string, policy_problems


def test_names_of_both_worlds() -> None:
    names = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert cipher_string(names) == "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
    assert not policy_problems(TlsPolicy(ciphers=names, curves=("X25519",)))


def test_suites_of_tls_1_3_may_be_named_and_change_nothing() -> None:
    assert cipher_string(["TLS_AES_128_GCM_SHA256"]) == ""


@pytest.mark.parametrize("curve", ["CurveP256", "CurveP384", "CurveP521", "X25519", "P-256", "secp384r1"])
def test_curves(curve: str) -> None:
    assert not policy_problems(TlsPolicy(curves=(curve,)))


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (TlsPolicy(ciphers=("TLS_ROT13",)), "TLS_ROT13 is no cipher suite"),
        (TlsPolicy(curves=("CurveP999",)), "CurveP999 is no curve"),
        (TlsPolicy(curves=("X25519", "CurveP256")), "takes one curve, not 2"),
    ],
)
def test_what_cannot_be_done_is_said(policy: TlsPolicy, said: str) -> None:
    (problem,) = policy_problems(policy)
    assert said in problem
