"""Who asks: the tenant of a request, and what that lets it see."""

import re
from collections.abc import Mapping, Sequence

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from app.config.query_options import TenancyOptions
from app.engine.promql.ast import Matcher
from app.web.api.errors import bad_data
from app.web.api.handling import Call

FORWARDED = "thanos-tenant"
"""The metadata under which endpoints are told, whatever the header's name is here."""
_FIELDS = {
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "commonName": NameOID.COMMON_NAME,
}
# It becomes metadata of gRPC; and stores make directories of it.
_VALID = re.compile(r"[ -.0-~]+")


class Tenant(msgspec.Struct, frozen=True):
    """:param enforced: the matcher that every selector of the request gets; None: it may see everything."""

    name: str
    enforced: Matcher | None = None

    @property
    def metadata(self) -> Mapping[str, str]:
        """For the endpoints."""
        return {FORWARDED: self.name}

    def narrowed(self, matchers: Sequence[Matcher]) -> tuple[Matcher, ...]:
        """Matchers of a selector with the enforced one, which replaces others on its label."""
        own = self.enforced
        if own is None:
            return tuple(matchers)
        return (*(matcher for matcher in matchers if matcher.name != own.name), own)


def tenant_of(call: Call, options: TenancyOptions) -> Tenant:
    """Who asks.

    :raises ApiError: the name cannot be one, or the client has no certificate that names it.
    """
    if options.certificate_field:
        name = _certified(call, options.certificate_field)
    else:
        name = call.headers.get(options.header) or call.headers.get(FORWARDED) or options.default
    if not _VALID.fullmatch(name):
        raise bad_data("tenant name not valid")
    return Tenant(name, Matcher("=", options.label, name) if options.enforced else None)


def _certified(call: Call, field: str) -> str:
    if not call.certificates:
        raise bad_data("could not get required certificate field from client cert")
    certificate = x509.load_pem_x509_certificate(call.certificates[0].encode())
    found = certificate.subject.get_attributes_for_oid(_FIELDS[field])
    if not found:
        raise bad_data(f"could not get {field} field from client cert")
    value = found[0].value
    return value if isinstance(value, str) else value.decode("latin-1")
