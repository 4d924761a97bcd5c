"""HTTP to one Prometheus: aiohttp, with the certificates of the cache and credentials that may change."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import aiofiles
import aiohttp
import anyio

from app.config.model import HttpClientConfig
from app.errors import CallError, Code, FailureKind, MaterialError
from app.tls.provider import Provider

READ_BUFFER = 512 * 1024
"""Bytes of an answer that are read ahead; beyond twice that Prometheus has to wait."""
MAX_CONNECTIONS = 200
MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of an answer that is read as a whole."""
MAX_ERROR = 2000
"""Bytes of the body of an error that are passed on."""

# As Thanos's sidecar passes errors on.
_CODES = {
    400: Code.INVALID_ARGUMENT,
    404: Code.NOT_FOUND,
    422: Code.INTERNAL,
    500: Code.INTERNAL,
    503: Code.UNAVAILABLE,
}


class PrometheusClient:
    """Mutable: the pool of connections, opened and closed by the context. Belongs to one sidecar.

    :param url: of Prometheus, without a slash at its end.
    :param tls: for an https URL; None: the roots of the system.
    """

    def __init__(self, url: str, config: HttpClientConfig, tls: Provider | None) -> None:
        parts = urlsplit(url)
        self.shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        """The URL for people: without a password."""
        self._url = url
        self._config = config
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        config = self._config
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=MAX_CONNECTIONS,
                limit_per_host=config.max_connections,
                keepalive_timeout=config.idle_timeout or None,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=config.connect_timeout or None),
            read_bufsize=READ_BUFFER,
            headers={
                "user-agent": "crossrealm-sidecar",
                "accept-encoding": "gzip" if config.compression else "identity",
            },
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._session is not None
        # Closing waits for what the transports have left to say; a stop must not hang on it.
        with anyio.CancelScope(shield=True), anyio.move_on_after(2):
            await self._session.close()

    async def get(self, path: str, params: Sequence[tuple[str, str]] = ()) -> bytes:
        """The body of a 2xx answer; empty for 204.

        :param path: below the URL: ``/api/v1/rules``.
        :raises CallError: Prometheus cannot be reached, or answers with an error, which the message carries.
        """
        async with self._request("GET", path, params=list(params)) as answer:
            body = await answer.content.read(MAX_ANSWER + 1)
            while len(body) <= MAX_ANSWER and (more := await answer.content.read(MAX_ANSWER + 1)):
                body += more
        if len(body) > MAX_ANSWER:
            raise CallError(
                Code.RESOURCE_EXHAUSTED, f"{self.shown}{path}: the answer is larger than {MAX_ANSWER} bytes"
            )
        return body

    @asynccontextmanager
    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A 2xx answer to be read while it arrives. Leaving early closes its connection.

        :raises CallError: as `get`; while it is read too.
        """
        async with self._request("POST", path, data=body, headers=dict(headers)) as answer:
            yield answer

    @asynccontextmanager
    async def _request(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None
        headers = {**options.pop("headers", {}), **await self._credentials()}
        config = self._config
        try:
            if self._tls is not None:
                options["ssl"] = (await self._tls.fresh()).context
                if config.tls is not None and config.tls.server_name:
                    options["server_hostname"] = config.tls.server_name
            if config.proxy_url:
                options["proxy"] = config.proxy_url
            with anyio.fail_after(config.header_timeout or None):
                answer = await self._session.request(method, self._url + path, headers=headers, **options)
            async with answer:
                if answer.status // 100 != 2:
                    raise await self._refusal(answer, path)
                yield answer
        except MaterialError as error:
            raise CallError(
                Code.UNAVAILABLE,
                f"{self.shown}: our own certificates for Prometheus cannot be used: {error}",
                FailureKind.MATERIAL,
            ) from None
        except (aiohttp.ClientError, OSError, EOFError) as error:
            raise self._unreached(error, path) from None

    def _unreached(self, error: Exception, path: str) -> CallError:
        said = str(error) or type(error).__name__
        return CallError(Code.UNAVAILABLE, f"Prometheus at {self.shown}{path}: {said}", FailureKind.CONNECT)

    async def _refusal(self, answer: aiohttp.ClientResponse, path: str) -> CallError:
        body = (await answer.content.read(MAX_ERROR)).decode(errors="replace").strip()
        return CallError(
            _CODES.get(answer.status, Code.INTERNAL),
            f"Prometheus at {self.shown}{path} answered {answer.status} {answer.reason}: {body}",
        )

    async def _credentials(self) -> dict[str, str]:
        """Read anew for each request: whoever renews a token only writes the file."""
        config = self._config
        token = config.bearer_token
        if config.bearer_token_file:
            token = await self._secret(config.bearer_token_file)
        if token:
            return {"authorization": f"Bearer {token}"}
        if config.username or config.password or config.password_file:
            password = config.password
            if config.password_file:
                password = await self._secret(config.password_file)
            encoded = base64.b64encode(f"{config.username}:{password}".encode()).decode()
            return {"authorization": f"Basic {encoded}"}
        return {}

    async def _secret(self, path: str) -> str:
        try:
            async with aiofiles.open(path) as file:
                return (await file.read(65536)).strip()
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "not a text"
            raise CallError(
                Code.UNAVAILABLE, f"{self.shown}: credentials cannot be read: {path}: {said.lower()}"
            ) from None
