"""The web configuration is read again: users, headers and TLS, together or not at all."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import bcrypt
import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry
from starlette.responses import PlainTextResponse

from app.errors import ConfigError
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.web.front import WebFront
from tests.pki import CA

pytestmark = pytest.mark.anyio

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
USER = {"authorization": "Basic " + base64.b64encode(b"prometheus:secret").decode()}


def configure(path: Path, **sections: object) -> None:
    path.write_text(yaml.safe_dump(sections))


@asynccontextmanager
async def front(path: str) -> AsyncIterator[tuple[WebFront, CertificateCache]]:
    cache = CertificateCache(metrics=TlsMetrics(CollectorRegistry()))
    async with anyio.create_task_group() as tasks:
        await tasks.start(cache.run)
        yield WebFront(path, cache), cache
        tasks.cancel_scope.cancel()


async def test_users_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    configure(path)
    async with front(str(path)) as (found, _):
        site = found.guarded(PlainTextResponse("in"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://test") as http:
            assert (await http.get("/")).status_code == 200
            configure(path, basic_auth_users={"prometheus": HASH})
            await found.reload("test")
            assert (await http.get("/")).status_code == 401
            assert (await http.get("/", headers=USER)).status_code == 200
            configure(path, basic_auth_users={"other": HASH})
            await found.reload("test")
            assert (await http.get("/", headers=USER)).status_code == 401


async def test_headers_are_those_of_now(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    configure(path)
    async with front(str(path)) as (found, _):
        assert found.headers() == {}
        configure(path, http_server_config={"headers": {"X-Frame-Options": "deny"}})
        await found.reload("test")
        assert found.headers() == {"X-Frame-Options": "deny"}


async def test_tls_is_replaced_when_the_new_one_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    CA("ca").issue().write(tmp_path)
    tls = {"cert_file": "tls.crt", "key_file": "tls.key"}
    configure(path, tls_server_config=tls)
    async with front(str(path)) as (found, cache):
        first = found.provider
        assert first is not None
        configure(path, tls_server_config=tls, basic_auth_users={"prometheus": HASH})
        await found.reload("test")
        assert found.provider is first, "its part has not changed"
        configure(path, tls_server_config={**tls, "key_file": "nowhere.key"})
        with pytest.raises(ConfigError, match=r"nowhere\.key"):
            await found.reload("test")
        assert found.provider is first
        assert list(cache.providers()) == [first]
        configure(path, tls_server_config={**tls, "min_version": "TLS13"})
        await found.reload("test")
        assert found.provider is not first
        assert list(cache.providers()) == [found.provider]
        configure(path)
        await found.reload("test")
        assert list(cache.providers()) == []


async def test_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    configure(path, basic_auth_users={"prometheus": HASH})
    async with front(str(path)) as (found, _):
        configure(path, basic_auth_users={"prometheus": "secret"}, typo=1)
        with pytest.raises(ConfigError) as caught:
            await found.reload("test")
        assert len(caught.value.problems) == 2
        site = found.guarded(PlainTextResponse("in"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://test") as http:
            assert (await http.get("/")).status_code == 401


async def test_without_a_file_there_is_nothing_to_read() -> None:
    async with front("") as (found, _):
        await found.reload("test")
        assert (found.provider, found.headers()) == (None, {})
