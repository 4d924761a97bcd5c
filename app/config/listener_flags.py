"""What the flags say that every server has: listeners, certificates, logs."""

from collections.abc import Callable, Sequence

import msgspec

from app.config.addresses import split_address
from app.config.client_tls import is_identity
from app.config.model import GrpcServerSettings, HttpSettings, ListenerTls, LogSettings, TlsVersion
from app.config.tls_names import openssl_ciphers, openssl_curves
from app.config.web_prefix import clean_prefix
from app.errors import Problem


class ListenerFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The flags as they were given; durations are seconds."""

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
    web_enable_lifecycle: bool = False
    web_route_prefix: str = ""
    web_external_prefix: str = ""
    web_prefix_header: str = ""
    web_disable_cors: bool = False
    tls_drain_window: float = 60.0
    log_level: str = "info"
    log_format: str = "logfmt"


class ListenerReader:
    """Mutable: the problems found so far.

    :param problems: what is known to be wrong already.
    """

    def __init__(self, flags: ListenerFlags, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        self._listeners = flags

    def problem(self, where: str, what: str, remedy: str = "") -> None:
        self.problems.append(Problem(where, what, remedy))

    def not_zero(self, flag: str, seconds: float) -> None:
        """A duration that must not be 0."""
        if seconds == 0 and all(problem.where != flag for problem in self.problems):
            self.problem(flag, "0 is not allowed: it would never give anything time", "write for example 5s")

    def grpc(self) -> GrpcServerSettings:
        flags = self._listeners
        return GrpcServerSettings(
            address=self._listen("--grpc-address", flags.grpc_address),
            tls=self._listener_tls(),
            max_connection_age=flags.grpc_server_max_connection_age,
            max_connection_age_grace=flags.grpc_server_max_connection_age_grace,
            grace_period=flags.grpc_grace_period,
            max_message_size=flags.grpc_server_max_message_size,
        )

    def http(self) -> HttpSettings:
        flags = self._listeners
        return HttpSettings(
            address=self._listen("--http-address", flags.http_address),
            grace_period=flags.http_grace_period,
            config_file=flags.http_config,
            lifecycle=flags.web_enable_lifecycle,
            hide_tls=flags.web_hide_tls,
            # A prefix of "/" is none, and not a missing one.
            route_prefix=clean_prefix(flags.web_route_prefix or flags.web_external_prefix),
            external_prefix=clean_prefix(flags.web_external_prefix),
            prefix_header=flags.web_prefix_header,
            cors=not flags.web_disable_cors,
        )

    def log(self) -> LogSettings:
        flags = self._listeners
        return msgspec.convert({"level": flags.log_level, "format": flags.log_format}, LogSettings)

    def _listener_tls(self) -> ListenerTls | None:
        flags = self._listeners
        cert, key = flags.grpc_server_tls_cert, flags.grpc_server_tls_key
        if bool(cert) != bool(key):
            missing = "--grpc-server-tls-key" if cert else "--grpc-server-tls-cert"
            self.problem(missing, "missing beside its other half", "set both or neither")
        needs_cert = {
            "--grpc-server-tls-client-ca": flags.grpc_server_tls_client_ca,
            "--grpc-server-tls-crl": flags.grpc_server_tls_crl,
            "--grpc-server-tls-ciphers": flags.grpc_server_tls_ciphers,
            "--grpc-server-tls-curves": flags.grpc_server_tls_curves,
            "--grpc-server-allowed-identity": flags.grpc_server_allowed_identity,
        }
        without = [flag for flag, value in needs_cert.items() if value]
        if without and not cert:
            self.problem(
                ", ".join(without),
                "the listener is plaintext",
                "add --grpc-server-tls-cert and --grpc-server-tls-key",
            )
        for flag in ("--grpc-server-tls-crl", "--grpc-server-allowed-identity"):
            if needs_cert[flag] and not flags.grpc_server_tls_client_ca:
                self.problem(flag, "no client certificates are asked for", "add --grpc-server-tls-client-ca")
        for identity in flags.grpc_server_allowed_identity:
            if not is_identity(identity):
                self.problem(
                    "--grpc-server-allowed-identity", f"{identity!r} is neither a SPIFFE URI nor a DNS name"
                )
        return (
            ListenerTls(
                cert_file=cert,
                key_file=key,
                client_ca_file=flags.grpc_server_tls_client_ca,
                crl_file=flags.grpc_server_tls_crl,
                min_version=self.version("--grpc-server-tls-min-version", flags.grpc_server_tls_min_version),
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
            self.problem(flag, str(error))
            return ()

    def version(self, flag: str, text: str) -> TlsVersion:
        if text in ("", "1.3"):
            return "1.3"
        if text == "1.2":
            return "1.2"
        remedy = (
            "write 1.2 or 1.3; nothing older is spoken here" if text in ("1.0", "1.1") else "write 1.2 or 1.3"
        )
        self.problem(flag, f"{text!r} is not allowed", remedy)
        return "1.3"

    def _listen(self, flag: str, address: str) -> str:
        try:
            split_address(address, listening=True)
        except ValueError as error:
            self.problem(flag, str(error))
        return address
