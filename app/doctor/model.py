"""What the doctor finds: one diagnosis for each endpoint."""

import msgspec

from app.tls.certificates import instant
from app.tls.model import CertificateInfo


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate of a chain, or the CA that it leads to."""

    role: str  # leaf, intermediate, anchor
    subject: str
    issuer: str
    serial: str
    not_after: str

    @classmethod
    def of(cls, role: str, certificate: CertificateInfo) -> "Link":
        return cls(
            role=role,
            subject=certificate.subject,
            issuer=certificate.issuer,
            serial=certificate.serial,
            not_after=instant(certificate.not_after),
        )


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param identity: the names in the endpoint's certificate.
    :param offered: the subject of the certificate that we showed; "" is none.
    """

    version: str
    cipher: str
    chain: tuple[Link, ...]
    identity: tuple[str, ...]
    offered: str
    milliseconds: float


class InfoResult(msgspec.Struct, frozen=True, kw_only=True):
    component: str
    label_sets: tuple[dict[str, str], ...]
    apis: tuple[str, ...]
    milliseconds: float


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint.

    :param resolved: addresses that the host led to.
    :param tcp_milliseconds: None: no connection could be made.
    :param wanted: the name or the pinned identities that its certificate must carry; "" for plaintext.
    :param handshake: None for plaintext, or where it failed.
    :param failed_at: resolve, connect, handshake, info; "" is well.
    :param reason: a slug; "" is well.
    :param error, advice: sentences.
    :param warnings: what will go wrong, or is not as safe as it could be.
    """

    group: str
    address: str
    resolved: tuple[str, ...] = ()
    tcp_milliseconds: float | None = None
    wanted: str = ""
    handshake: Handshake | None = None
    info: InfoResult | None = None
    failed_at: str = ""
    reason: str = ""
    error: str = ""
    advice: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        return not self.failed_at
