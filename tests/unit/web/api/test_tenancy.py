"""Tenants out of client certificates, over real TLS."""

import datetime as dt
import ssl
from pathlib import Path

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry
from starlette.datastructures import Headers

from app.config.model import QuerySettings
from app.config.query_options import QueryOptions, TenancyOptions, TenantField
from app.engine.promql.ast import Matcher
from app.rpc.acceptor import bind
from app.rpc.server_metrics import ServerMetrics
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.web.api.errors import ApiError
from app.web.api.form import Form
from app.web.api.handling import Call
from app.web.api.tenancy import tenant_of
from app.web.server import HttpServer
from tests.pki import CA
from tests.unit.web.api.fakes import FakeEngine, site

pytestmark = pytest.mark.anyio


def call(*certificates: str) -> Call:
    return Call(Form(), {}, Headers(), certificates)


def named(*names: tuple[x509.ObjectIdentifier, str]) -> str:
    """A certificate with this subject, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in names])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("field", "oid"),
    [
        ("organization", NameOID.ORGANIZATION_NAME),
        ("organizationalUnit", NameOID.ORGANIZATIONAL_UNIT_NAME),
        ("commonName", NameOID.COMMON_NAME),
    ],
)
def test_fields_of_the_subject(field: TenantField, oid: x509.ObjectIdentifier) -> None:
    options = TenancyOptions(certificate_field=field, enforced=True)
    tenant = tenant_of(call(named((oid, "a"), (NameOID.COUNTRY_NAME, "DE"), (oid, "b")), "no PEM"), options)
    assert (tenant.name, tenant.metadata) == ("a", {"thanos-tenant": "a"})
    assert tenant.enforced == Matcher("=", "tenant_id", "a")
    with pytest.raises(ApiError, match=f"could not get {field} field from client cert"):
        tenant_of(call(named((NameOID.COUNTRY_NAME, "DE"))), options)
    with pytest.raises(ApiError, match="could not get required certificate field from client cert"):
        tenant_of(call(), options)
    with pytest.raises(ApiError, match="tenant name not valid"):
        tenant_of(call(named((oid, "a/b"))), options)


async def test_the_certificate_decides_and_not_the_header(tmp_path: Path) -> None:
    authority, engine = CA("ca"), FakeEngine()
    cert, key = authority.issue().write(tmp_path)
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    client_cert, client_key = authority.issue(common_name="team-a").write(tmp_path, "client")
    tenancy = TenancyOptions(certificate_field="commonName")
    app = site(engine, settings=QuerySettings(query=QueryOptions(tenancy=tenancy)))
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.load_cert_chain(client_cert, client_key)
    async with anyio.create_task_group() as tasks:
        cache = CertificateCache(metrics=TlsMetrics(CollectorRegistry()))
        await tasks.start(cache.run)
        files = TlsFiles(cert_file=str(cert), key_file=str(key), ca_file=str(tmp_path / "ca.crt"))
        provider = cache.provider(
            "http", Role.SERVER, files, TlsPolicy(min_version="1.2", verify_peer=True, alpn=("http/1.1",))
        )
        server = HttpServer(
            app, bind("127.0.0.1:0"), tls=provider, metrics=ServerMetrics(CollectorRegistry())
        )
        await tasks.start(server.run)
        async with httpx.AsyncClient(verify=context) as http:
            for _ in range(2):  # the second on the same connection
                answer = await http.get(
                    f"https://localhost:{server.ports[0]}/api/v1/query",
                    params={"query": "up"},
                    headers={"thanos-tenant": "team-b"},
                )
                assert answer.status_code == 200, answer.text
        tasks.cancel_scope.cancel()
    assert [each.metadata for each in engine.requests] == [{"thanos-tenant": "team-a"}] * 2
