"""What the flags of `crossrealm query` say, turned into settings, with all faults at once."""

from collections.abc import Sequence

from app.config.addresses import same_endpoint
from app.config.client_tls import check_client_tls
from app.config.endpoints_source import load_endpoints
from app.config.identity_matchers import canonical, parse_identity_matchers
from app.config.model import (
    EndpointGroup,
    EndpointsConfig,
    EndpointsFormat,
    EndpointsSource,
    IdentityMatchers,
    MissingEndpoints,
    QuerySettings,
    RelabelRule,
    TlsConfig,
)
from app.config.promql_flags import PromqlFlags, PromqlReader
from app.config.relabel_config import load_relabel_config
from app.config.selector_labels import parse_selector_label
from app.errors import ConfigError, Problem

CONNECTION_LABELS = ("external_labels", "store_type")
"""Labels that the metric of connections can have."""
FLAG_GROUP = "flags"
"""The name of the group that the endpoints of the flags make up."""


class QueryFlags(PromqlFlags, frozen=True, kw_only=True):
    """The flags as they were given; durations are seconds. Names are the flags', dots and dashes as
    underscores; of flags with several names the first of `app.cli`."""

    endpoints_config: str = ""
    endpoints_config_reload: bool = True
    endpoint_sd_config_file: str = ""
    endpoint_sd_config: str = ""
    endpoint_sd_config_reload_interval: float = 300.0
    endpoint: tuple[str, ...] = ()
    endpoint_strict: tuple[str, ...] = ()
    endpoint_group: tuple[str, ...] = ()
    endpoint_group_strict: tuple[str, ...] = ()
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
    grpc_compression: str = "none"
    tls_startup: str = "lenient"
    store_sd_interval: float = 300.0
    store_sd_dns_interval: float = 30.0
    store_sd_dns_resolver: str = ""
    store_sd_dns_server: str = ""
    store_response_timeout: float = 0.0
    store_unhealthy_timeout: float = 300.0
    endpoint_info_timeout: float = 5.0
    selector_label: tuple[str, ...] = ()
    selector_relabel_config: str = ""
    selector_relabel_config_file: str = ""
    grpc_server_identity_matchers: tuple[str, ...] = ()
    query_replica_label: tuple[str, ...] = ()
    query_conn_metric_label: tuple[str, ...] = ()
    query_missing_endpoints: str = "warn"
    query_resort_buffer: int = 256 * 1024 * 1024


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
    "endpoint_sd_config_file": "--endpoint.sd-config-file",
    "endpoint_sd_config": "--endpoint.sd-config",
    "endpoint": "--endpoint",
    "endpoint_strict": "--endpoint.strict",
    "endpoint_group": "--endpoint-group",
    "endpoint_group_strict": "--endpoint-group-strict",
    "endpoint_sd_files": "--endpoint.sd-files",
    "secure": "--secure",
    "grpc_client_tls_secure": "--grpc-client-tls-secure",
    **_PROPOSAL_TLS,
    **_THANOS_TLS,
}


def query_settings(
    flags: QueryFlags,
    problems: Sequence[Problem] = (),
    warnings: Sequence[str] = (),
    given: Sequence[tuple[str, str]] = (),
) -> QuerySettings:
    """Settings of `crossrealm query`.

    :param problems: what is known to be wrong already.
    :param warnings: what is to be said already.
    :param given: names and texts of the flags, for people to look at.
    :raises ConfigError: with every fault of the flags and of the endpoints file.
    """
    return _Reader(flags, problems, warnings, given).settings()


class _Reader(PromqlReader):
    """Mutable: the problems and warnings found so far."""

    def __init__(
        self,
        flags: QueryFlags,
        problems: Sequence[Problem],
        warnings: Sequence[str],
        given: Sequence[tuple[str, str]],
    ) -> None:
        super().__init__(flags, problems)
        self._flags = flags
        self._given = tuple(given)
        self._warnings = list(warnings)

    def settings(self) -> QuerySettings:
        flags = self._flags
        source = self._source()
        endpoints = self._endpoints(source)
        grpc, http, query = self.grpc(), self.http(), self.query_options()
        selector_labels, relabel_rules = self._selector_labels(), self._relabel_rules()
        identity_matchers = self._identity_matchers()
        self.not_zero("--endpoint.info-timeout", flags.endpoint_info_timeout)
        self.not_zero("--store.sd-interval", flags.store_sd_interval)
        self.not_zero("--store.sd-dns-interval", flags.store_sd_dns_interval)
        for name in flags.query_conn_metric_label:
            if name not in CONNECTION_LABELS:
                known = " and ".join(CONNECTION_LABELS)
                self.problem("--query.conn-metric.label", f"{name!r} is not a label of it", f"{known} are")
        if flags.store_sd_dns_server:
            self._listen("--store.sd-dns-server", flags.store_sd_dns_server)
        if flags.store_sd_dns_resolver:
            self._warnings.append("--store.sd-dns-resolver: there is one resolver here; it has no effect")
        self.not_zero("--endpoint.sd-config-reload-interval", flags.endpoint_sd_config_reload_interval)
        if self.problems:
            raise ConfigError(self.problems)
        return QuerySettings(
            groups=endpoints.groups,
            source=source,
            endpoints_reload=flags.endpoints_config_reload,
            endpoints_reload_interval=flags.endpoint_sd_config_reload_interval,
            grpc=grpc,
            http=http,
            log=self.log(),
            query=query,
            identity_matchers=identity_matchers,
            flags=self._given,
            tls_startup_strict=flags.tls_startup == "strict",
            drain_window=flags.tls_drain_window,
            sd_interval=flags.store_sd_interval,
            dns_interval=flags.store_sd_dns_interval,
            dns_server=flags.store_sd_dns_server,
            response_timeout=flags.store_response_timeout,
            unhealthy_timeout=flags.store_unhealthy_timeout,
            info_timeout=flags.endpoint_info_timeout,
            selector_labels=selector_labels,
            relabel_rules=relabel_rules,
            connection_labels=tuple(dict.fromkeys(flags.query_conn_metric_label)) or CONNECTION_LABELS,
            # Repeated, or lists in one flag.
            replica_labels=tuple(
                name.strip() for each in flags.query_replica_label for name in each.split(",") if name.strip()
            ),
            missing_endpoints=MissingEndpoints(flags.query_missing_endpoints),
            client_max_message_size=flags.grpc_client_max_message_size,
            compression="snappy" if flags.grpc_compression == "snappy" else "none",
            resort_buffer=flags.query_resort_buffer,
            warnings=(*self._warnings, *endpoints.warnings),
        )

    # -- endpoints

    def _source(self) -> EndpointsSource:
        flags = self._flags
        if flags.endpoints_config:
            given = [flag for name, flag in _EXCLUSIVE.items() if getattr(flags, name)]
            if given:
                self.problem(
                    "--endpoints.config", f"it excludes {', '.join(given)}", "put all endpoints into the file"
                )
            return EndpointsSource(format=EndpointsFormat.CROSSREALM, path=flags.endpoints_config)
        if flags.endpoint_sd_config_file and flags.endpoint_sd_config:
            self.problem("--endpoint.sd-config-file", "it excludes --endpoint.sd-config", "use one of them")
        thanos = flags.endpoint_sd_config_file or flags.endpoint_sd_config
        return EndpointsSource(
            format=EndpointsFormat.THANOS if thanos else EndpointsFormat.FLAGS,
            path=flags.endpoint_sd_config_file,
            content=flags.endpoint_sd_config.encode(),
            flags=EndpointGroup(
                name=FLAG_GROUP,
                tls=self._flag_tls(),
                endpoints=self._flag_addresses(),
                strict_endpoints=frozenset((*flags.endpoint_strict, *flags.endpoint_group_strict)),
                balanced=frozenset((*flags.endpoint_group, *flags.endpoint_group_strict)),
                sd_files=flags.endpoint_sd_files,
            ),
        )

    def _endpoints(self, source: EndpointsSource) -> EndpointsConfig:
        try:
            return load_endpoints(source)
        except ConfigError as error:
            self.problems.extend(error.problems)
            return EndpointsConfig()

    def _flag_addresses(self) -> tuple[str, ...]:
        flags, found, given = self._flags, list[str](), dict[tuple[str, int], str]()
        named = [("--endpoint", each) for each in flags.endpoint]
        named += [("--endpoint.strict", each) for each in flags.endpoint_strict]
        named += [("--endpoint-group", each) for each in flags.endpoint_group]
        named += [("--endpoint-group-strict", each) for each in flags.endpoint_group_strict]
        for flag, address in named:
            try:
                endpoint = same_endpoint(address)
            except ValueError as error:
                self.problem(flag, str(error))
                continue
            if endpoint in given:
                self.problem(flag, f"{address} is given by {given[endpoint]} already")
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
            self.problem(", ".join(old), "without --secure the endpoints are plaintext", "add --secure")
        # The proposal has no flags for these two, so they go with its --secure too.
        either = ("--grpc-client-tls-skip-verify", "--grpc-client-tls-min-version")
        without = [flag for flag in new if not (flags.secure and flag in either)]
        if without and not flags.grpc_client_tls_secure:
            self.problem(
                ", ".join(without),
                "without --grpc-client-tls-secure the endpoints are plaintext",
                "add --grpc-client-tls-secure",
            )
        family_only = [flag for flag in new if flag not in either]
        if flags.secure and flags.grpc_client_tls_secure and old and family_only:
            self.problem(
                ", ".join([*old, *family_only]), "two families of flags for one thing", "use one of them"
            )
        if not (flags.secure or flags.grpc_client_tls_secure):
            return None
        config = TlsConfig(
            cert_file=flags.cert or flags.grpc_client_tls_cert,
            key_file=flags.key or flags.grpc_client_tls_key,
            ca_file=flags.ca_cert or flags.grpc_client_tls_ca,
            server_name=flags.server_name or flags.grpc_client_server_name,
            min_version=self.version("--grpc-client-tls-min-version", flags.grpc_client_tls_min_version),
            insecure_skip_verify=flags.grpc_client_tls_skip_verify,
        )
        family = {"cert_file": "--cert", "key_file": "--key", "ca_file": "--caCert"}
        if flags.grpc_client_tls_secure:
            family = {key: f"--grpc-client-tls-{key.removesuffix('_file')}" for key in family}
        family["insecure_skip_verify"] = "--grpc-client-tls-skip-verify"
        check_client_tls(config, lambda key, what, remedy: self.problem(family.get(key, key), what, remedy))
        return config

    def _identity_matchers(self) -> tuple[IdentityMatchers, ...]:
        flag, flags = "--grpc-server-identity-matchers", self._flags
        allowed = {canonical(each) for each in flags.grpc_server_allowed_identity}
        found: dict[str, IdentityMatchers] = {}
        for text in flags.grpc_server_identity_matchers:
            try:
                each = parse_identity_matchers(text)
            except ValueError as error:
                self.problem(flag, str(error))
                continue
            if each.identity in found:
                self.problem(flag, f"{each.identity} is given twice", "put all its matchers between one {}")
            if allowed and each.identity not in allowed:
                self.problem(
                    flag,
                    f"{each.identity} is let in by no --grpc-server-allowed-identity",
                    "add it there, or remove its matchers",
                )
            found[each.identity] = each
        if flags.grpc_server_identity_matchers and not flags.grpc_server_tls_client_ca:
            self.problem(flag, "no client certificates are asked for", "add --grpc-server-tls-client-ca")
        return tuple(found.values())

    def _relabel_rules(self) -> tuple[RelabelRule, ...]:
        flags = self._flags
        try:
            return load_relabel_config(flags.selector_relabel_config_file, flags.selector_relabel_config)
        except ConfigError as error:
            self.problems.extend(error.problems)
            return ()

    def _selector_labels(self) -> tuple[tuple[str, str], ...]:
        found: dict[str, str] = {}
        for text in self._flags.selector_label:
            try:
                name, value = parse_selector_label(text)
            except ValueError as error:
                self.problem("--selector-label", str(error), 'write name="value"')
                continue
            if name in found:
                self.problem("--selector-label", f"{name} is given twice")
            found[name] = value
        return tuple(sorted(found.items()))
