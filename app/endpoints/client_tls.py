"""A group's `tls_config` as the certificate cache wants it."""

from app.config.model import TlsConfig
from app.tls.model import TlsFiles, TlsPolicy


def client_material(tls: TlsConfig, alpn: tuple[str, ...] = ("h2",)) -> tuple[TlsFiles, TlsPolicy]:
    """Where the material is, and what the context is built with beside it.

    :param alpn: what is offered.
    """
    files = TlsFiles(
        cert_file=tls.cert_file, key_file=tls.key_file, ca_file=tls.ca_file, crl_file=tls.crl_file
    )
    policy = TlsPolicy(
        min_version=tls.min_version,
        verify_peer=not tls.insecure_skip_verify,
        peer_identities=tls.peer_identities,
        alpn=alpn,
    )
    return files, policy
