"""`--http.config`: the web configuration file of Prometheus's exporter-toolkit."""

import os
from pathlib import Path
from typing import Any

import msgspec
import yaml

from app.config.tls_names import openssl_ciphers, openssl_curves
from app.errors import ConfigError, Problem
from app.tls.model import TlsFiles, TlsPolicy

_VERSIONS = {"TLS12": "1.2", "TLS13": "1.3", "": "1.2"}
_CLIENT_AUTH = {"": False, "NoClientCert": False, "RequireAndVerifyClientCert": True}
_SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users")


class _TlsServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cert_file: str = ""
    key_file: str = ""
    client_auth_type: str = ""
    client_ca_file: str = ""
    client_allowed_sans: tuple[str, ...] = ()
    min_version: str = "TLS12"
    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = ()


class _HttpServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    http2: bool = True
    headers: dict[str, str] = {}


class WebConfig(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param files, policy: of the TLS listener; None is plain HTTP.
    :param users: name to bcrypt hash; empty: no authentication.
    :param headers: to be added to every answer.
    """

    files: TlsFiles | None = None
    policy: TlsPolicy | None = None
    users: dict[str, str] = {}
    headers: dict[str, str] = {}


def load_web_config(path: Path) -> WebConfig:
    """The file's settings; relative paths in it are relative to it.

    :raises ConfigError: with every fault.
    """
    problems: list[Problem] = []
    document = _document(path)
    for key in document:
        if key not in _SECTIONS:
            problems.append(Problem(f"{path}: {key}", "unknown key", f"known are {', '.join(_SECTIONS)}"))
    http = _section(document, "http_server_config", _HttpServerConfig, path, problems)
    users = _section(document, "basic_auth_users", dict[str, str], path, problems) or {}
    for name, hashed in users.items():
        if not hashed.startswith(("$2a$", "$2b$", "$2y$")):
            problems.append(Problem(f"{path}: basic_auth_users.{name}", "not a bcrypt hash"))
    files = policy = None
    tls = _section(document, "tls_server_config", _TlsServerConfig, path, problems)
    if tls is not None:
        files, policy = _tls(tls, path, problems)
    if problems:
        raise ConfigError(problems)
    return WebConfig(files=files, policy=policy, users=users, headers=http.headers if http else {})


def _document(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise ConfigError([Problem(str(path), (error.strerror or str(error)).lower())]) from None
    except yaml.YAMLError as error:
        raise ConfigError([Problem(str(path), f"not valid YAML: {error}".replace("\n", " "))]) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError([Problem(str(path), "a mapping is wanted")])
    return document


def _section(document: dict[str, Any], key: str, kind: Any, path: Path, problems: list[Problem]) -> Any:
    if document.get(key) is None:
        return None
    try:
        return msgspec.convert(document[key], kind)
    except msgspec.ValidationError as error:
        problems.append(Problem(f"{path}: {key}", str(error)))
        return None


def _tls(
    tls: _TlsServerConfig, path: Path, problems: list[Problem]
) -> tuple[TlsFiles | None, TlsPolicy | None]:
    where = f"{path}: tls_server_config"

    def problem(key: str, what: str, remedy: str = "") -> None:
        problems.append(Problem(f"{where}.{key}", what, remedy))

    if not tls.cert_file or not tls.key_file:
        problem("key_file" if tls.cert_file else "cert_file", "missing", "set cert_file and key_file")
    if tls.client_auth_type not in _CLIENT_AUTH:
        problem(
            "client_auth_type", f"{tls.client_auth_type!r} is not supported", "RequireAndVerifyClientCert is"
        )
    verify = _CLIENT_AUTH.get(tls.client_auth_type, False)
    if verify != bool(tls.client_ca_file):
        problem("client_ca_file", "it goes together with client_auth_type: RequireAndVerifyClientCert")
    if tls.min_version not in _VERSIONS:
        problem("min_version", f"{tls.min_version!r} is not allowed", "write TLS12 or TLS13")
    if tls.max_version not in ("", "TLS13"):
        problem("max_version", f"{tls.max_version!r} is not supported", "remove it")
    ciphers: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    try:
        ciphers = openssl_ciphers(tls.cipher_suites)
        curves = openssl_curves(tls.curve_preferences)
    except ValueError as error:
        problem("cipher_suites or curve_preferences", str(error))

    def resolved(name: str) -> str:
        return os.path.join(path.parent, name) if name else ""

    files = TlsFiles(
        cert_file=resolved(tls.cert_file),
        key_file=resolved(tls.key_file),
        ca_file=resolved(tls.client_ca_file),
    )
    policy = TlsPolicy(
        min_version="1.3" if tls.min_version == "TLS13" else "1.2",
        verify_peer=verify,
        peer_identities=tls.client_allowed_sans,
        ciphers=ciphers,
        curves=curves,
        alpn=("http/1.1",),
    )
    return files, policy
