"""HTTP to Prometheus: credentials, certificates that change, and the reason of a failure."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from prometheus_client import CollectorRegistry

from app.config.model import HttpClientConfig, TlsConfig
from app.demo.processes import free_address
from app.endpoints.client_tls import client_material
from app.errors import CallError, Code, FailureKind
from app.sidecar.client import PrometheusClient
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role
from tests.pki import CA, replace
from tests.unit.sidecar.fake_prometheus import fake_prometheus

pytestmark = pytest.mark.anyio

PATH = "/api/v1/status/buildinfo"


@asynccontextmanager
async def client(url: str, config: HttpClientConfig) -> AsyncIterator[PrometheusClient]:
    """One with the certificates that `config` names, followed."""
    cache = CertificateCache(metrics=TlsMetrics(CollectorRegistry()))
    async with anyio.create_task_group() as tasks:
        await tasks.start(cache.run)
        provider = None
        if config.tls is not None:
            files, policy = client_material(config.tls, alpn=("http/1.1",))
            provider = cache.provider("prometheus", Role.CLIENT, files, policy)
        async with PrometheusClient(url, config, provider) as made:
            yield made
        tasks.cancel_scope.cancel()


def server_context(directory: Path, server: CA, clients: CA) -> ssl.SSLContext:
    """HTTPS that wants a client certificate."""
    directory.mkdir()
    cert, key = server.issue().write(directory)
    ca = directory / "clients.crt"
    ca.write_bytes(clients.pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(cert, key)
    return context


def tls(directory: Path, ca: CA, identity: CA) -> TlsConfig:
    directory.mkdir()
    cert, key = identity.issue().write(directory)
    replace(directory / "ca.crt", ca.pem)
    return TlsConfig(
        cert_file=str(cert), key_file=str(key), ca_file=str(directory / "ca.crt"), min_version="1.2"
    )


async def test_certificates_are_used_and_renewed_ones_too(tmp_path: Path) -> None:
    server, clients, others = CA("server CA"), CA("client CA"), CA("another CA")
    async with fake_prometheus(server_context(tmp_path / "server", server, clients)) as prometheus:
        config = HttpClientConfig(tls=tls(tmp_path / "client", server, clients))
        async with client(prometheus.url, config) as made:
            assert b"2.42.0" in await made.get(PATH)
            others.issue().write(tmp_path / "client")
            with pytest.raises(CallError) as caught:  # whom the server does not know
                await made.get(PATH)
            assert caught.value.code is Code.UNAVAILABLE
            clients.issue().write(tmp_path / "client")
            assert b"2.42.0" in await made.get(PATH)
            replace(tmp_path / "client" / "ca.crt", others.pem)
            with pytest.raises(CallError, match="certificate verify failed"):
                await made.get(PATH)


async def test_the_name_can_be_set(tmp_path: Path) -> None:
    server = CA("server CA")
    leaf = server.issue(dns=("prometheus.eu",))
    cert, key = leaf.write(tmp_path)
    (tmp_path / "ca.crt").write_bytes(server.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with fake_prometheus(context) as prometheus:
        for name, works in (("prometheus.eu", True), ("prometheus.us", False)):
            config = HttpClientConfig(
                tls=TlsConfig(ca_file=str(tmp_path / "ca.crt"), server_name=name, min_version="1.2")
            )
            async with client(prometheus.url, config) as made:
                if works:
                    assert await made.get(PATH)
                else:
                    with pytest.raises(CallError, match="verify failed"):
                        await made.get(PATH)


async def test_material_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    config = HttpClientConfig(tls=TlsConfig(ca_file=str(tmp_path / "no.crt"), min_version="1.2"))
    async with client("https://127.0.0.1:1", config) as made:
        with pytest.raises(CallError, match=r"no\.crt: no such file") as caught:
            await made.get(PATH)
    assert caught.value.kind is FailureKind.MATERIAL


async def test_credentials_are_read_for_each_request(tmp_path: Path) -> None:
    token, password = tmp_path / "token", tmp_path / "password"
    token.write_text("first\n")
    password.write_text("pass\n")
    async with fake_prometheus() as prometheus:
        async with client(prometheus.url, HttpClientConfig(bearer_token_file=str(token))) as made:
            await made.get(PATH)
            token.write_text("second")
            await made.get(PATH)
            token.unlink()
            with pytest.raises(CallError, match="token: no such file"):
                await made.get(PATH)
        basic = HttpClientConfig(username="me", password_file=str(password))
        async with client(prometheus.url, basic) as made:
            await made.get(PATH)
        async with client(prometheus.url, HttpClientConfig(bearer_token="fixed", compression=False)) as made:
            await made.get(PATH)
    sent = [headers.get("authorization") for headers in prometheus.headers]
    assert sent == ["Bearer first", "Bearer second", "Basic bWU6cGFzcw==", "Bearer fixed"]
    assert prometheus.headers[-1]["accept-encoding"] == "identity"


async def test_nobody_there() -> None:
    address = free_address()
    async with client(f"http://{address}", HttpClientConfig()) as made:
        with pytest.raises(CallError, match=rf"Prometheus at http://{address}{PATH}: ") as caught:
            await made.get(PATH)
    assert (caught.value.code, caught.value.kind) == (Code.UNAVAILABLE, FailureKind.CONNECT)


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sidecar.client.MAX_ANSWER", 20)
    async with fake_prometheus() as prometheus, client(prometheus.url, HttpClientConfig()) as made:
        with pytest.raises(CallError, match="larger than 20 bytes"):
            await made.get(PATH)


async def test_requests_go_through_a_proxy() -> None:
    async with fake_prometheus() as proxy:
        config = HttpClientConfig(proxy_url=proxy.url)
        async with client("http://prometheus.example:9090", config) as made:
            assert b"2.42.0" in await made.get(PATH)
    assert proxy.headers[0]["host"] == "prometheus.example:9090"
