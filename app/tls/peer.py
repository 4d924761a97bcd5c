"""What a handshake agreed on, read from its TLS object."""

import ssl
from typing import Any, cast

import msgspec

from app.tls.certificates import certificate_info
from app.tls.model import CertificateInfo


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a handshake.

    :param version: ``TLSv1.3``.
    :param alpn: the protocol chosen; "" where the peer chose none.
    :param chain: what the peer showed, DER, leaf first; empty where it showed nothing.
    """

    version: str
    cipher: str
    alpn: str
    chain: tuple[bytes, ...]
    resumed: bool

    @property
    def certificate(self) -> CertificateInfo | None:
        return certificate_info(self.chain[0]) if self.chain else None


def shown_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """What the peer showed, DER, leaf first, also after a handshake that failed over it."""
    if hasattr(tls, "get_unverified_chain"):  # public since Python 3.13
        try:
            return tuple(cast(Any, tls).get_unverified_chain() or ())
        except ValueError:
            pass
    inner = cast(Any, tls)._sslobj
    chain = inner.get_unverified_chain() if inner is not None else None
    # The private form gives objects whose PEM (1) and DER (2) come from public_bytes.
    return tuple(each if isinstance(each, bytes) else each.public_bytes(2) for each in chain or ())


def agreed(tls: ssl.SSLObject) -> Agreed:
    """What the handshake of `tls`, which is over, agreed on."""
    cipher = tls.cipher()
    return Agreed(
        version=tls.version() or "",
        cipher=cipher[0] if cipher else "",
        alpn=tls.selected_alpn_protocol() or "",
        chain=shown_chain(tls),
        resumed=bool(tls.session_reused),
    )
