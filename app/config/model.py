"""The frozen tree that configuration ends in. Durations are seconds; an empty string means unset."""

from enum import StrEnum
from typing import Literal

import msgspec

from app.config.query_options import QueryOptions

TlsVersion = Literal["1.2", "1.3"]
Compression = Literal["none", "snappy"]
COMPRESSIONS: tuple[Compression, ...] = ("none", "snappy")


class Mode(StrEnum):
    """How a group treats endpoints that are not healthy."""

    NORMAL = ""
    STRICT = "strict"  # always asked, even while the health check fails


class TlsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`tls_config` of a group: the client side. At least one key is set.

    :param server_name: sets SNI, the name verified and `:authority`; empty: the host as written.
    :param peer_identities: SPIFFE URIs or DNS names of which the peer's certificate must carry one.
    """

    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""
    crl_file: str = ""
    server_name: str = ""
    min_version: TlsVersion = "1.3"
    insecure_skip_verify: bool = False
    peer_identities: tuple[str, ...] = ()


class EndpointGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One item of `endpoints.yaml`, or all endpoints of the flags.

    :param name: unique; from the file, else made from the position (``group-1``).
    :param tls: None is plaintext.
    :param endpoints: ``host:port`` (or ``[v6]:port``) in the order written.
    :param strict_endpoints: addresses among `endpoints` that are strict although `mode` is not (the flags
        mix both in one group).
    :param balanced: addresses among `endpoints` of which each is a group in the load-balancing sense: every
        call goes to one of the addresses that it resolves to.
    :param sd_files: globs of file SD.
    :param compression: of gRPC messages; None: as the flag says for all.
    """

    name: str
    tls: TlsConfig | None = None
    endpoints: tuple[str, ...] = ()
    strict_endpoints: frozenset[str] = frozenset()
    balanced: frozenset[str] = frozenset()
    sd_files: tuple[str, ...] = ()
    mode: Mode = Mode.NORMAL
    compression: Compression | None = None


class EndpointsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All endpoints that were configured, by file and flags together.

    :param groups: names are unique, addresses too.
    :param warnings: what is not done as it is written, for the log.
    """

    groups: tuple[EndpointGroup, ...] = ()
    warnings: tuple[str, ...] = ()


class EndpointsFormat(StrEnum):
    """What describes the endpoints."""

    FLAGS = "flags"
    CROSSREALM = "endpoints.config"
    THANOS = "endpoint.sd-config"


class EndpointsSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the endpoints are described.

    :param path: of a file; "" where there is none, and nothing that could change.
    :param content: where it is given by a flag.
    :param flags: what flags say beside it.
    """

    format: EndpointsFormat = EndpointsFormat.FLAGS
    path: str = ""
    content: bytes = b""
    flags: EndpointGroup = EndpointGroup(name="flags")


class ListenerTls(msgspec.Struct, frozen=True, kw_only=True):
    """The gRPC listener's own material.

    :param client_ca_file: with it a client certificate is required and verified.
    :param allowed_identities: SPIFFE URIs or DNS names of which a client certificate must carry one.
    :param ciphers: TLS 1.2 cipher names and TLS 1.3 suites as the flag gave them (Go or OpenSSL names).
    :param curves: as the flag gave them (Go names such as ``X25519``, ``CurveP256``).
    """

    cert_file: str
    key_file: str
    client_ca_file: str = ""
    crl_file: str = ""
    min_version: TlsVersion = "1.3"
    ciphers: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    allowed_identities: tuple[str, ...] = ()


MatcherText = tuple[str, str, str]
"""Operator (``=``, ``!=``, ``=~``, ``!~``), name of a label, and value."""


class IdentityMatchers(msgspec.Struct, frozen=True):
    """What a client of the gRPC listener may see.

    :param identity: a SPIFFE URI, or a DNS name in lower case.
    :param matchers: at least one; all of them have to match.
    """

    identity: str
    matchers: tuple[MatcherText, ...]


RelabelAction = Literal["keep", "drop", "hashmod"]


class RelabelRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule.

    :param source_labels: whose values, an absent label's being "", are put together with `separator`.
    :param regex: what `keep` and `drop` match all of that against; RE2's, a dot matches a newline too.
    :param modulus: of the hash that `hashmod` writes into `target_label`; at least 1 there.
    """

    action: RelabelAction
    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    regex: str = "(.*)"
    modulus: int = 0
    target_label: str = ""


class GrpcServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The gRPC listener.

    :param address: ``host:port``, an empty host is all interfaces, port 0 is any free one.
    :param max_connection_age: seconds; 0 disables.
    :param max_connection_age_grace: seconds; None waits for the streams.
    :param grace_period: seconds that a stop waits for calls in flight.
    :param max_message_size: bytes of one received message.
    """

    address: str = "0.0.0.0:10901"
    tls: ListenerTls | None = None
    max_connection_age: float = 3600.0
    max_connection_age_grace: float | None = None
    grace_period: float = 120.0
    max_message_size: int = 4 * 1024 * 1024


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP listener.

    :param config_file: exporter-toolkit's web configuration; empty is plain HTTP.
    :param lifecycle: whether ``POST /-/reload`` may be used.
    :param hide_tls: leave the `tls` objects out of `/api/v1/stores`.
    :param route_prefix: of all paths but probes, metrics and reload; "" or ``/thanos``.
    :param external_prefix: under which a proxy that strips it shows these paths; likewise.
    :param prefix_header: names that prefix in each request; "" where none does.
    :param cors: whether pages of other sites may ask the API.
    """

    address: str = "0.0.0.0:10902"
    grace_period: float = 120.0
    config_file: str = ""
    lifecycle: bool = False
    hide_tls: bool = False
    route_prefix: str = ""
    external_prefix: str = ""
    prefix_header: str = ""
    cors: bool = True


class MissingEndpoints(StrEnum):
    """What an endpoint that could have matched and is not healthy does to an answer (rule 8)."""

    WARN = "warn"
    ERROR = "error"
    IGNORE = "ignore"


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    level: Literal["debug", "info", "warn", "error"] = "info"
    format: Literal["logfmt", "json"] = "logfmt"


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every server was told.

    :param drain_window: seconds over which connections made with renewed material are drained.
    :param warnings: what the flags gave rise to, logged once at start.
    """

    grpc: GrpcServerSettings = GrpcServerSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    drain_window: float = 60.0
    warnings: tuple[str, ...] = ()


class QuerySettings(ServerSettings, frozen=True, kw_only=True):
    """All that `crossrealm query` was told.

    :param groups: in the order of the file; names are unique, addresses too.
    :param source: where they come from.
    :param endpoints_reload: follow the file of `source`.
    :param endpoints_reload_interval: seconds between two looks at it, beside the watcher.
    :param tls_startup_strict: client material that cannot be used at start is an error.
    :param sd_interval: seconds between two looks at file SD, beside the watcher.
    :param dns_interval: seconds between two lookups of a name.
    :param dns_server: ``host:port``; empty: as the system looks names up.
    :param response_timeout: seconds the merge waits for one endpoint; 0 is off.
    :param unhealthy_timeout: seconds after which an unhealthy endpoint's metadata is forgotten.
    :param info_timeout: seconds of one Info call.
    :param info_interval: seconds between two Info calls.
    :param selector_labels: the querier's own labels, sorted by name.
    :param relabel_rules: which label sets of the endpoints are asked.
    :param replica_labels: labels that tell replicas apart.
    :param connection_labels: labels of the metric of connections.
    :param client_max_message_size: bytes of one message from an endpoint; Thanos's default is 2^31-1.
    :param compression: of gRPC messages to endpoints whose group does not say.
    :param resort_buffer: bytes that streams in the wrong order may hold per endpoint.
    :param identity_matchers: what clients of the gRPC listener may see, each identity once; others may see
        everything.
    :param flags: as they were given, name and text, for people to look at.
    """

    query: QueryOptions = QueryOptions()
    identity_matchers: tuple[IdentityMatchers, ...] = ()
    flags: tuple[tuple[str, str], ...] = ()
    groups: tuple[EndpointGroup, ...] = ()
    source: EndpointsSource = EndpointsSource()
    endpoints_reload: bool = True
    endpoints_reload_interval: float = 300.0
    tls_startup_strict: bool = False
    sd_interval: float = 300.0
    dns_interval: float = 30.0
    dns_server: str = ""
    response_timeout: float = 0.0
    unhealthy_timeout: float = 300.0
    info_timeout: float = 5.0
    info_interval: float = 5.0
    selector_labels: tuple[tuple[str, str], ...] = ()
    relabel_rules: tuple[RelabelRule, ...] = ()
    replica_labels: tuple[str, ...] = ()
    connection_labels: tuple[str, ...] = ("external_labels", "store_type")
    missing_endpoints: MissingEndpoints = MissingEndpoints.WARN
    client_max_message_size: int = 2**31 - 1
    compression: Compression = "none"
    resort_buffer: int = 256 * 1024 * 1024


class HttpClientConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How a Prometheus is reached. Times in seconds, 0 is no limit; "" is unset.

    :param tls: for an https URL; None: the roots of the system.
    :param connect_timeout: of TCP and TLS together.
    :param header_timeout: until an answer begins.
    """

    username: str = ""
    password: str = ""
    password_file: str = ""
    bearer_token: str = ""
    bearer_token_file: str = ""
    proxy_url: str = ""
    tls: TlsConfig | None = None
    max_connections: int = 0
    idle_timeout: float = 90.0
    header_timeout: float = 0.0
    connect_timeout: float = 15.0
    compression: bool = True


class MinTime(msgspec.Struct, frozen=True, kw_only=True):
    """The oldest sample that is served: `at` (milliseconds since the epoch), or `from_now` (seconds, negative
    in the past); neither: no limit."""

    at: int | None = None
    from_now: float | None = None

    def milliseconds(self, now: float) -> int:
        """As a time.

        :param now: seconds since the epoch.
        """
        if self.at is not None:
            return self.at
        return -(2**63) if self.from_now is None else round((now + self.from_now) * 1000)


class SidecarSettings(ServerSettings, frozen=True, kw_only=True):
    """All that `crossrealm sidecar` was told.

    :param prometheus_url: without a slash at its end.
    :param heartbeat_interval, heartbeat_timeout: seconds between two looks at Prometheus, and of one.
    :param max_series, max_samples: of one Series call; 0: no limit.
    :param resort_buffer: bytes that an answer may take up when it has to be sorted here.
    """

    prometheus_url: str = "http://localhost:9090"
    http_client: HttpClientConfig = HttpClientConfig()
    heartbeat_interval: float = 30.0
    heartbeat_timeout: float = 30.0
    min_time: MinTime = MinTime()
    max_series: int = 0
    max_samples: int = 0
    resort_buffer: int = 256 * 1024 * 1024
