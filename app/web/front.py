"""`--http.config` in force: TLS, users and headers of the HTTP listener, and the same read again."""

from collections.abc import Mapping
from pathlib import Path

import anyio.to_thread
import structlog
from starlette.types import ASGIApp

from app.errors import ConfigError
from app.tls.cache import CertificateCache
from app.tls.model import Role
from app.tls.provider import Provider
from app.tls.usable import unusable
from app.web.auth import BasicAuth
from app.web.config import WebConfig, load_web_config

GROUP = "http"

log = structlog.get_logger()


class WebFront:
    """Mutable: the configuration in force and its provider, changed by `reload` alone.

    :param path: of the file; "" where there is none, which is plain HTTP for everybody.
    :param certificates: running.
    :raises ConfigError: with every fault of the file.
    """

    def __init__(self, path: str, certificates: CertificateCache) -> None:
        self._path = path
        self._certificates = certificates
        self._config = load_web_config(Path(path)) if path else WebConfig()
        self.provider = self._made(self._config)

    def headers(self) -> Mapping[str, str]:
        """To be added to every answer."""
        return self._config.headers

    def guarded(self, site: ASGIApp) -> ASGIApp:
        """`site` for those who have a password; for everybody where no users are configured."""
        return BasicAuth(site, lambda: self._config.users)

    async def reload(self, trigger: str) -> None:
        """Read the file again. Connections that are open stay as they are.

        :param trigger: who asks, for the log.
        :raises ConfigError: with every fault; what was in force stays.
        """
        if not self._path:
            return
        try:
            config = await anyio.to_thread.run_sync(load_web_config, Path(self._path))
            if config == self._config:
                return
            provider = await self._provider_of(config)
        except ConfigError as error:
            for problem in error.problems:
                log.error("web configuration refused; what was in force goes on", err=str(problem))
            raise
        old, self._config, self.provider = self.provider, config, provider
        if old is not None and old is not provider:
            self._certificates.remove(old)
        log.info("web configuration reloaded", file=self._path, trigger=trigger)

    async def _provider_of(self, config: WebConfig) -> Provider | None:
        if (config.files, config.policy) == (self._config.files, self._config.policy):
            return self.provider
        provider = self._made(config)
        if provider is not None:
            problems = await unusable(provider, f"{self._path}: tls_server_config")
            if problems:
                self._certificates.remove(provider)
                raise ConfigError(problems)
        return provider

    def _made(self, config: WebConfig) -> Provider | None:
        if config.files is None or config.policy is None:
            return None
        return self._certificates.provider(GROUP, Role.SERVER, config.files, config.policy)
