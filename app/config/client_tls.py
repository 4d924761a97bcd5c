"""What a `tls_config` for endpoints may say, whichever file or flag says it."""

import re
from collections.abc import Callable

from app.config.model import TlsConfig

_SPIFFE = re.compile(r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_DNS = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)


def is_identity(text: str) -> bool:
    """Whether `text` is a SPIFFE URI or a DNS name."""
    return bool((_SPIFFE if "://" in text else _DNS).fullmatch(text))


def check_client_tls(config: TlsConfig, problem: Callable[[str, str, str], None]) -> None:
    """What must not be set together; `problem` takes key, fault and remedy."""
    if config.cert_file and not config.key_file:
        problem("key_file", "missing beside cert_file", "set both or neither")
    if config.key_file and not config.cert_file:
        problem("cert_file", "missing beside key_file", "set both or neither")
    if config.insecure_skip_verify:
        for key in ("ca_file", "crl_file", "peer_identities"):
            if getattr(config, key):
                problem(
                    "insecure_skip_verify",
                    f"it switches off what {key} asks for",
                    f"remove insecure_skip_verify or {key}",
                )
    elif config.crl_file and not config.ca_file:
        problem("crl_file", "a CRL needs ca_file: the system's roots have none", "set ca_file")
