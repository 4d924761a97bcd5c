"""`--prometheus.http-client`: Thanos's HTTP client configuration, strict, with all faults at once."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from app.config.model import HttpClientConfig, TlsConfig
from app.errors import ConfigError, Problem

_NANOSECONDS = 1e9
_SECTIONS = (
    "basic_auth",
    "bearer_token",
    "bearer_token_file",
    "proxy_url",
    "tls_config",
    "transport_config",
)


class _BasicAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    username: str = ""
    password: str = ""
    password_file: str = ""


class _Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False


class _Transport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Durations are nanoseconds, as Go writes them; 0 is no limit."""

    max_idle_conns: int = 100
    max_idle_conns_per_host: int = 2
    idle_conn_timeout: int = 90_000_000_000
    response_header_timeout: int = 0
    expect_continue_timeout: int = 0
    max_conns_per_host: int = 0
    disable_compression: bool = False
    tls_handshake_timeout: int = 10_000_000_000
    dialer_timeout: int = 5_000_000_000


def load_http_client(path: Path) -> HttpClientConfig:
    """The file's settings; relative paths in it are relative to it.

    :raises ConfigError: with every fault.
    """
    try:
        content = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise ConfigError([Problem(str(path), said.lower())]) from None
    return parse_http_client(content, str(path), path.parent)


def parse_http_client(content: str, where: str, base: Path | None = None) -> HttpClientConfig:
    """Settings from YAML.

    :param where: names the source in faults: a file or a flag.
    :param base: what relative paths are relative to; None: the working directory.
    :raises ConfigError: with every fault.
    """
    problems: list[Problem] = []
    document = _document(content, where)
    for key in document:
        if key not in _SECTIONS:
            problems.append(Problem(f"{where}: {key}", "unknown key", f"known are {', '.join(_SECTIONS)}"))
    auth: _BasicAuth = _section(document, "basic_auth", _BasicAuth, where, problems)
    tls: _Tls = _section(document, "tls_config", _Tls, where, problems)
    transport: _Transport = _section(document, "transport_config", _Transport, where, problems)
    texts: dict[str, str] = {}
    for key in ("bearer_token", "bearer_token_file", "proxy_url"):
        value = document.get(key) or ""
        if not isinstance(value, str):
            problems.append(Problem(f"{where}: {key}", "a text is wanted"))
            value = ""
        texts[key] = value

    def resolved(name: str) -> str:
        return os.path.join(base, name) if name and base is not None else name

    _check(auth, tls, texts, where, problems)
    if problems:
        raise ConfigError(problems)
    set_ = any((tls.ca_file, tls.cert_file, tls.key_file, tls.server_name, tls.insecure_skip_verify))
    return HttpClientConfig(
        username=auth.username,
        password=auth.password,
        password_file=resolved(auth.password_file),
        bearer_token=texts["bearer_token"],
        bearer_token_file=resolved(texts["bearer_token_file"]),
        proxy_url=texts["proxy_url"],
        tls=TlsConfig(
            ca_file=resolved(tls.ca_file),
            cert_file=resolved(tls.cert_file),
            key_file=resolved(tls.key_file),
            server_name=tls.server_name,
            insecure_skip_verify=tls.insecure_skip_verify,
            min_version="1.2",
        )
        if set_
        else None,
        max_connections=transport.max_conns_per_host,
        idle_timeout=transport.idle_conn_timeout / _NANOSECONDS,
        header_timeout=transport.response_header_timeout / _NANOSECONDS,
        connect_timeout=(transport.dialer_timeout + transport.tls_handshake_timeout) / _NANOSECONDS,
        compression=not transport.disable_compression,
    )


def _document(content: str, where: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError([Problem(where, f"not valid YAML: {error}".replace("\n", " "))]) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError([Problem(where, "a mapping is wanted")])
    return document


def _section(document: dict[str, Any], key: str, kind: Any, where: str, problems: list[Problem]) -> Any:
    try:
        return msgspec.convert(document.get(key) or {}, kind)
    except msgspec.ValidationError as error:
        problems.append(Problem(f"{where}: {key}", str(error)))
        return kind()


def _check(auth: _BasicAuth, tls: _Tls, texts: dict[str, str], where: str, problems: list[Problem]) -> None:
    """What must not be set together."""
    if auth.password and auth.password_file:
        problems.append(Problem(f"{where}: basic_auth", "password and password_file exclude each other"))
    if texts["bearer_token"] and texts["bearer_token_file"]:
        problems.append(Problem(where, "bearer_token and bearer_token_file exclude each other"))
    if (auth.username or auth.password_file) and (texts["bearer_token"] or texts["bearer_token_file"]):
        problems.append(Problem(where, "basic_auth and bearer_token exclude each other"))
    if bool(tls.cert_file) != bool(tls.key_file):
        missing = "key_file" if tls.cert_file else "cert_file"
        problems.append(Problem(f"{where}: tls_config.{missing}", "missing beside its other half"))
    if tls.insecure_skip_verify and tls.ca_file:
        problems.append(
            Problem(f"{where}: tls_config.insecure_skip_verify", "it switches off what ca_file asks for")
        )
    proxy = urlsplit(texts["proxy_url"])
    if texts["proxy_url"] and (proxy.scheme not in ("http", "https") or not proxy.hostname):
        problems.append(
            Problem(f"{where}: proxy_url", "not the URL of an HTTP proxy", "write http://host:port")
        )
