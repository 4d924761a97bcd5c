"""What the flags of `crossrealm query` say, turned into settings, with all faults at once."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from app.config.addresses import same_endpoint, split_address
from app.config.endpoints_file import check_client_tls, is_identity, load_endpoints_config
from app.config.model import (
    EndpointGroup,
    GrpcServerSettings,
    HttpSettings,
    ListenerTls,
    LogSettings,
    MissingEndpoints,
    QuerySettings,
    TlsConfig,
    TlsVersion,
)
from app.config.selector_labels import parse_selector_label
from app.config.tls_names import openssl_ciphers, openssl_curves
from app.errors import ConfigError, Problem

FLAG_GROUP = "flags"
"""The name of the group that the endpoints of the flags make up."""


class QueryFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The flags as they were given; durations are seconds. Names are the flags', dots and dashes as
    underscores; of flags with several names the first of `app.cli`."""

    endpoints_config: str = ""
    endpoint: tuple[str, ...] = ()
    endpoint_strict: tuple[str, ...] = ()
    endpoint_sd_files: tuple[str, ...] = ()
    secure: bool = False
    cert: str = ""
    key: str = ""
    ca_cert: str = ""
    server_name: str = ""
    grpc_client_tls_secure: bool = False
    grpc_client_tls_cert: str = ""
    grpc_client_tls_key: str = ""
    grpc_client_tls_ca: str = ""
    grpc_client_tls_skip_verify: bool = False
    grpc_client_tls_min_version: str = ""
    grpc_client_server_name: str = ""
    grpc_client_max_message_size: int = 2**31 - 1
    grpc_address: str = "0.0.0.0:10901"
    grpc_server_tls_cert: str = ""
    grpc_server_tls_key: str = ""
    grpc_server_tls_client_ca: str = ""
    grpc_server_tls_crl: str = ""
    grpc_server_tls_min_version: str = "1.3"
    grpc_server_tls_ciphers: tuple[str, ...] = ()
    grpc_server_tls_curves: tuple[str, ...] = ()
    grpc_server_allowed_identity: tuple[str, ...] = ()
    grpc_server_max_connection_age: float = 3600.0
    grpc_server_max_connection_age_grace: float | None = None
    grpc_server_max_message_size: int = 4 * 1024 * 1024
    grpc_grace_period: float = 120.0
    http_address: str = "0.0.0.0:10902"
    http_grace_period: float = 120.0
    http_config: str = ""
    web_hide_tls: bool = False
    tls_startup: str = "lenient"
    tls_drain_window: float = 60.0
    store_sd_interval: float = 300.0
    store_response_timeout: float = 0.0
    store_unhealthy_timeout: float = 300.0
    endpoint_info_timeout: float = 5.0
    selector_label: tuple[str, ...] = ()
    query_missing_endpoints: str = "warn"
    query_resort_buffer: int = 256 * 1024 * 1024
    log_level: str = "info"
    log_format: str = "logfmt"


# The two families of client TLS flags: the proposal's, and those of `thanos query` today.
_PROPOSAL_TLS = {"cert": "--cert", "key": "--key", "ca_cert": "--caCert", "server_name": "--serverName"}
_THANOS_TLS = {
    "grpc_client_tls_cert": "--grpc-client-tls-cert",
    "grpc_client_tls_key": "--grpc-client-tls-key",
    "grpc_client_tls_ca": "--grpc-client-tls-ca",
    "grpc_client_server_name": "--grpc-client-server-name",
    "grpc_client_tls_skip_verify": "--grpc-client-tls-skip-verify",
    "grpc_client_tls_min_version": "--grpc-client-tls-min-version",
}
_EXCLUSIVE = {
    "endpoint": "--endpoint",
    "endpoint_strict": "--endpoint.strict",
    "endpoint_sd_files": "--endpoint.sd-files",
    "secure": "--secure",
    "grpc_client_tls_secure": "--grpc-client-tls-secure",
    **_PROPOSAL_TLS,
    **_THANOS_TLS,
}


def query_settings(flags: QueryFlags, problems: Sequence[Problem] = ()) -> QuerySettings:
    """Settings of `crossrealm query`.

    :param problems: what is known to be wrong already.
    :raises ConfigError: with every fault of the flags and of the endpoints file.
    """
    return _Reader(flags, problems).settings()


class _Reader:
    """Mutable: the problems and warnings found so far."""

    def __init__(self, flags: QueryFlags, problems: Sequence[Problem]) -> None:
        self._flags = flags
        self._problems = list(problems)
        self._warnings: list[str] = []

    def _problem(self, where: str, what: str, remedy: str = "") -> None:
        self._problems.append(Problem(where, what, remedy))

    def settings(self) -> QuerySettings:
        flags = self._flags
        groups = self._groups()
        grpc = GrpcServerSettings(
            address=self._listen("--grpc-address", flags.grpc_address),
            tls=self._listener_tls(),
            max_connection_age=flags.grpc_server_max_connection_age,
            max_connection_age_grace=flags.grpc_server_max_connection_age_grace,
            grace_period=flags.grpc_grace_period,
            max_message_size=flags.grpc_server_max_message_size,
        )
        http = HttpSettings(
            address=self._listen("--http-address", flags.http_address),
            grace_period=flags.http_grace_period,
            config_file=flags.http_config,
            hide_tls=flags.web_hide_tls,
        )
        selector_labels = self._selector_labels()
        for flag, seconds in (
            ("--endpoint.info-timeout", flags.endpoint_info_timeout),
            ("--store.sd-interval", flags.store_sd_interval),
        ):
            if seconds == 0 and all(problem.where != flag for problem in self._problems):
                self._problem(
                    flag, "0 is not allowed: it would never give anything time", "write for example 5s"
                )
        if self._problems:
            raise ConfigError(self._problems)
        return QuerySettings(
            groups=groups,
            grpc=grpc,
            http=http,
            log=msgspec.convert({"level": flags.log_level, "format": flags.log_format}, LogSettings),
            tls_startup_strict=flags.tls_startup == "strict",
            drain_window=flags.tls_drain_window,
            sd_interval=flags.store_sd_interval,
            response_timeout=flags.store_response_timeout,
            unhealthy_timeout=flags.store_unhealthy_timeout,
            info_timeout=flags.endpoint_info_timeout,
            selector_labels=selector_labels,
            missing_endpoints=MissingEndpoints(flags.query_missing_endpoints),
            client_max_message_size=flags.grpc_client_max_message_size,
            resort_buffer=flags.query_resort_buffer,
            warnings=tuple(self._warnings),
        )

    # -- endpoints

    def _groups(self) -> tuple[EndpointGroup, ...]:
        flags = self._flags
        if not flags.endpoints_config:
            return self._flag_group()
        given = [flag for name, flag in _EXCLUSIVE.items() if getattr(flags, name)]
        if given:
            self._problem(
                "--endpoints.config", f"it excludes {', '.join(given)}", "put all endpoints into the file"
            )
        try:
            groups = load_endpoints_config(Path(flags.endpoints_config))
        except ConfigError as error:
            self._problems.extend(error.problems)
            return ()
        if not any(group.endpoints or group.sd_files for group in groups):
            self._warnings.append("no endpoints are configured; every answer will be empty")
        return groups

    def _flag_group(self) -> tuple[EndpointGroup, ...]:
        flags = self._flags
        tls = self._flag_tls()
        endpoints = self._flag_addresses()
        if not endpoints and not flags.endpoint_sd_files:
            self._warnings.append("no endpoints are configured; every answer will be empty")
            return ()
        return (
            EndpointGroup(
                name=FLAG_GROUP,
                tls=tls,
                endpoints=endpoints,
                strict_endpoints=frozenset(flags.endpoint_strict),
                sd_files=flags.endpoint_sd_files,
            ),
        )

    def _flag_addresses(self) -> tuple[str, ...]:
        flags, found, given = self._flags, list[str](), dict[tuple[str, int], str]()
        named = [("--endpoint", each) for each in flags.endpoint]
        named += [("--endpoint.strict", each) for each in flags.endpoint_strict]
        for flag, address in named:
            try:
                endpoint = same_endpoint(address)
            except ValueError as error:
                self._problem(flag, str(error))
                continue
            if endpoint in given:
                self._problem(flag, f"{address} is given by {given[endpoint]} already")
            given[endpoint] = flag
            found.append(address)
        return tuple(found)

    def _flag_tls(self) -> TlsConfig | None:
        flags = self._flags
        old = [flag for name, flag in _PROPOSAL_TLS.items() if getattr(flags, name)]
        new = [flag for name, flag in _THANOS_TLS.items() if getattr(flags, name)]
        if old or flags.secure:
            shown = ", ".join(old or ["--secure"])
            self._warnings.append(f"{shown}: --endpoints.config replaces these flags and can do more")
        if old and not flags.secure:
            self._problem(", ".join(old), "without --secure the endpoints are plaintext", "add --secure")
        # The proposal has no flags for these two, so they go with its --secure too.
        either = ("--grpc-client-tls-skip-verify", "--grpc-client-tls-min-version")
        without = [flag for flag in new if not (flags.secure and flag in either)]
        if without and not flags.grpc_client_tls_secure:
            self._problem(
                ", ".join(without),
                "without --grpc-client-tls-secure the endpoints are plaintext",
                "add --grpc-client-tls-secure",
            )
        family_only = [flag for flag in new if flag not in either]
        if flags.secure and flags.grpc_client_tls_secure and old and family_only:
            self._problem(
                ", ".join([*old, *family_only]), "two families of flags for one thing", "use one of them"
            )
        if not (flags.secure or flags.grpc_client_tls_secure):
            return None
        config = TlsConfig(
            cert_file=flags.cert or flags.grpc_client_tls_cert,
            key_file=flags.key or flags.grpc_client_tls_key,
            ca_file=flags.ca_cert or flags.grpc_client_tls_ca,
            server_name=flags.server_name or flags.grpc_client_server_name,
            min_version=self._version("--grpc-client-tls-min-version", flags.grpc_client_tls_min_version),
            insecure_skip_verify=flags.grpc_client_tls_skip_verify,
        )
        family = {"cert_file": "--cert", "key_file": "--key", "ca_file": "--caCert"}
        if flags.grpc_client_tls_secure:
            family = {key: f"--grpc-client-tls-{key.removesuffix('_file')}" for key in family}
        family["insecure_skip_verify"] = "--grpc-client-tls-skip-verify"
        check_client_tls(config, lambda key, what, remedy: self._problem(family.get(key, key), what, remedy))
        return config

    # -- listeners

    def _listener_tls(self) -> ListenerTls | None:
        flags = self._flags
        cert, key = flags.grpc_server_tls_cert, flags.grpc_server_tls_key
        if bool(cert) != bool(key):
            missing = "--grpc-server-tls-key" if cert else "--grpc-server-tls-cert"
            self._problem(missing, "missing beside its other half", "set both or neither")
        needs_cert = {
            "--grpc-server-tls-client-ca": flags.grpc_server_tls_client_ca,
            "--grpc-server-tls-crl": flags.grpc_server_tls_crl,
            "--grpc-server-tls-ciphers": flags.grpc_server_tls_ciphers,
            "--grpc-server-tls-curves": flags.grpc_server_tls_curves,
            "--grpc-server-allowed-identity": flags.grpc_server_allowed_identity,
        }
        without = [flag for flag, value in needs_cert.items() if value]
        if without and not cert:
            self._problem(
                ", ".join(without),
                "the listener is plaintext",
                "add --grpc-server-tls-cert and --grpc-server-tls-key",
            )
        for flag in ("--grpc-server-tls-crl", "--grpc-server-allowed-identity"):
            if needs_cert[flag] and not flags.grpc_server_tls_client_ca:
                self._problem(flag, "no client certificates are asked for", "add --grpc-server-tls-client-ca")
        for identity in flags.grpc_server_allowed_identity:
            if not is_identity(identity):
                self._problem(
                    "--grpc-server-allowed-identity", f"{identity!r} is neither a SPIFFE URI nor a DNS name"
                )
        return (
            ListenerTls(
                cert_file=cert,
                key_file=key,
                client_ca_file=flags.grpc_server_tls_client_ca,
                crl_file=flags.grpc_server_tls_crl,
                min_version=self._version("--grpc-server-tls-min-version", flags.grpc_server_tls_min_version),
                ciphers=self._names(
                    "--grpc-server-tls-ciphers", flags.grpc_server_tls_ciphers, openssl_ciphers
                ),
                curves=self._names("--grpc-server-tls-curves", flags.grpc_server_tls_curves, openssl_curves),
                allowed_identities=flags.grpc_server_allowed_identity,
            )
            if cert
            else None
        )

    def _names(
        self, flag: str, names: Sequence[str], known: Callable[[Sequence[str]], tuple[str, ...]]
    ) -> tuple[str, ...]:
        # kingpin takes repeated flags, and lists in one flag.
        flat = [each.strip() for name in names for each in name.split(",") if each.strip()]
        try:
            return known(flat)
        except ValueError as error:
            self._problem(flag, str(error))
            return ()

    def _version(self, flag: str, text: str) -> TlsVersion:
        if text in ("", "1.3"):
            return "1.3"
        if text == "1.2":
            return "1.2"
        remedy = (
            "write 1.2 or 1.3; nothing older is spoken here" if text in ("1.0", "1.1") else "write 1.2 or 1.3"
        )
        self._problem(flag, f"{text!r} is not allowed", remedy)
        return "1.3"

    def _listen(self, flag: str, address: str) -> str:
        try:
            split_address(address, listening=True)
        except ValueError as error:
            self._problem(flag, str(error))
        return address

    def _selector_labels(self) -> tuple[tuple[str, str], ...]:
        found: dict[str, str] = {}
        for text in self._flags.selector_label:
            try:
                name, value = parse_selector_label(text)
            except ValueError as error:
                self._problem("--selector-label", str(error), 'write name="value"')
                continue
            if name in found:
                self._problem("--selector-label", f"{name} is given twice")
            found[name] = value
        return tuple(sorted(found.items()))
