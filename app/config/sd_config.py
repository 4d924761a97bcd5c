"""`--endpoint.sd-config-file`: the endpoints file of `thanos query`, read strictly, with all faults at once.

Each setting of an endpoint's `client_config` that is absent is inherited by itself from
`default_client_config`, as Thanos's documentation has it. (Its code of today inherits nothing where `enabled`
is written, and never `server_name`.) Endpoints that come out with the same settings make up a group.
"""

import hashlib

import msgspec

from app.config.client_tls import check_client_tls
from app.config.model import Compression, EndpointGroup, EndpointsConfig, TlsConfig, TlsVersion
from app.config.service_config import not_followed
from app.config.yaml_file import YamlList, YamlMapping, parse_yaml
from app.config.yaml_reader import Addresses, YamlReader, kind
from app.errors import ConfigError, Problem

DEFAULT_GROUP = "default"
PLAINTEXT_GROUP = "plaintext"

_KEYS = ("default_client_config", "endpoints")
ENDPOINT_KEYS = ("address", "strict", "group", "service_config", "client_config")
CLIENT_KEYS = ("tls_config", "server_name", "compression")
# The last two are no keys of Thanos's, which leaves unknown ones alone.
TLS_KEYS = (
    "enabled",
    "insecure_skip_verify",
    "cert_file",
    "key_file",
    "ca_file",
    "min_version",
    "peer_identities",
    "crl_file",
)


class Settings(msgspec.Struct, frozen=True):
    """What all endpoints of a group have in common."""

    tls: TlsConfig | None
    compression: Compression | None

    def name(self) -> str:
        """Made from the content, so that it stays when other endpoints come and go."""
        if self.tls is None:
            return PLAINTEXT_GROUP if self.compression is None else f"{PLAINTEXT_GROUP}-{self.compression}"
        return f"tls-{hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:8]}"


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A `client_config` as it was written; None: absent, and inherited."""

    enabled: bool | None = None
    insecure_skip_verify: bool | None = None
    cert_file: str | None = None
    key_file: str | None = None
    ca_file: str | None = None
    crl_file: str | None = None
    peer_identities: tuple[str, ...] | None = None
    min_version: TlsVersion | None = None
    server_name: str | None = None
    compression: Compression | None = None

    @property
    def turns_tls_on(self) -> bool:
        """Whether it names material or trust: TLS is then on unless `enabled` says otherwise."""
        named = (self.cert_file, self.key_file, self.ca_file, self.crl_file, self.peer_identities)
        return any(each is not None for each in (*named, self.insecure_skip_verify))

    @property
    def concerns_tls(self) -> bool:
        """Whether it says anything about TLS."""
        return msgspec.structs.replace(self, compression=None) != ClientConfig()

    def over(self, base: "ClientConfig") -> "ClientConfig":
        """What is absent here comes from `base`, each setting by itself."""
        own = {key: value for key, value in msgspec.structs.asdict(self).items() if value is not None}
        if self.enabled is None and self.turns_tls_on:
            own["enabled"] = True
        if self.insecure_skip_verify:
            # What would verify, and is not written here, is not asked for here.
            own = {"ca_file": "", "crl_file": "", "peer_identities": (), **own}
        return msgspec.structs.replace(base, **own)

    def tls(self) -> TlsConfig | None:
        """What it comes to when there is nothing more to inherit; None is plaintext."""
        if not (self.turns_tls_on if self.enabled is None else self.enabled):
            return None
        return TlsConfig(
            cert_file=self.cert_file or "",
            key_file=self.key_file or "",
            ca_file=self.ca_file or "",
            crl_file=self.crl_file or "",
            server_name=self.server_name or "",
            min_version=self.min_version or "1.3",
            insecure_skip_verify=self.insecure_skip_verify or False,
            peer_identities=self.peer_identities or (),
        )

    def settings(self) -> "Settings":
        return Settings(tls=self.tls(), compression=self.compression)

    @classmethod
    def of(cls, tls: TlsConfig | None) -> "ClientConfig":
        """What flags say."""
        if tls is None:
            return cls()
        return msgspec.convert({**msgspec.structs.asdict(tls), "enabled": True}, cls)


def parse_sd_config(content: bytes, where: str, flags: EndpointGroup) -> EndpointsConfig:
    """The groups of a file, and of the flags beside it.

    :param where: names the file, or the flag that has the content, in faults.
    :param flags: what other flags say: endpoints and SD files, which get the default settings; TLS, which is
        the default where `default_client_config` says nothing about it.
    :raises ConfigError: with every fault.
    """
    document = parse_yaml(content, where)
    if not isinstance(document, YamlMapping):
        remedy = "write endpoints: [...]"
        if isinstance(document, YamlList):
            remedy = "a list of groups is for --endpoints.config"
        raise ConfigError(
            [Problem(where, f"a mapping with endpoints is wanted, not {kind(document)}", remedy)]
        )
    reader = _Reader(where, flags)
    groups = reader.groups(document)
    if reader.problems:
        raise ConfigError(reader.problems)
    return EndpointsConfig(groups=groups, warnings=tuple(reader.warnings))


class _Members:
    """Mutable: the endpoints of one group, added in the order of the file."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.strict: set[str] = set()
        self.balanced: set[str] = set()
        self.sd_files: tuple[str, ...] = ()


class _Reader(YamlReader):
    """Mutable: the problems, warnings and endpoints found so far."""

    def __init__(self, where: str, flags: EndpointGroup) -> None:
        super().__init__(where)
        self.warnings: list[str] = []
        self._flags = flags
        self._addresses = Addresses()
        self._members: dict[Settings, _Members] = {}

    def groups(self, document: YamlMapping) -> tuple[EndpointGroup, ...]:
        self.begin("", document.line)
        self.known(document, _KEYS)
        default = self._client_config(document, "default_client_config")
        from_file = default.concerns_tls
        if not from_file:
            default = default.over(ClientConfig.of(self._flags.tls))
        common = default.settings()
        endpoints = document.get("endpoints")
        if endpoints is None:
            endpoints = YamlList(document.line)
        if not isinstance(endpoints, YamlList):
            line = document.line_of("endpoints")
            self.problem("endpoints", f"a list is wanted, not {kind(endpoints)}", line=line)
            endpoints = YamlList(line)
        for number, (item, line) in enumerate(zip(endpoints, endpoints.lines, strict=True), start=1):
            self._endpoint(number, item, line, default)
        self._add_flags(common)
        self.begin("", document.line)
        if default.enabled is not False:
            self._check_plaintext(default, document, "default_client_config")
        if from_file and common in self._members:  # once, however many endpoints have it
            self._check(default, document, "default_client_config")
        return tuple(
            EndpointGroup(
                name=DEFAULT_GROUP if settings == common else settings.name(),
                tls=settings.tls,
                compression=settings.compression,
                endpoints=tuple(members.addresses),
                strict_endpoints=frozenset(members.strict),
                balanced=frozenset(members.balanced),
                sd_files=members.sd_files,
            )
            for settings, members in self._members.items()
        )

    # -- endpoints

    def _endpoint(self, number: int, item: object, line: int, default: ClientConfig) -> None:
        self.begin(f"endpoint {number}", line)
        if not isinstance(item, YamlMapping):
            self.problem("", f"a mapping with an address is wanted, not {kind(item)}")
            return
        address = self.text(item, "address") or ""
        if address:
            self.begin(f"endpoint {number} ({address})", line)
        elif not item.get("address"):
            self.problem("address", "missing", "write address: host:port")
        self.known(item, ENDPOINT_KEYS)
        own = self._client_config(item, "client_config")
        settings = default
        if own != ClientConfig():
            settings = own.over(default)
            self._check(settings, item, "client_config")
        if own.enabled is not False:
            self._check_plaintext(settings, item, "client_config")
        group = self.flag(item, "group") or False
        self._service_config(item, group=group)
        strict = self.flag(item, "strict") or False
        at = item.line_of("address")
        if not address or not self.is_address(address, "address", at):
            return
        before = self._addresses.first(address, f"endpoint {number}")
        if before:
            self.problem("address", f"{address} is {before} already", line=at)
        self._add(settings.settings(), address, strict=strict, group=group)

    def _add(self, settings: Settings, address: str, *, strict: bool, group: bool) -> None:
        members = self._members.setdefault(settings, _Members())
        members.addresses.append(address)
        if strict:
            members.strict.add(address)
        if group:
            members.balanced.add(address)

    def _add_flags(self, common: Settings) -> None:
        flags = self._flags
        for address in flags.endpoints:
            before = self._addresses.first(address, "a flag")
            if before:
                self.problems.append(
                    Problem(f"--endpoint {address}", f"it is {before} of {self._where} already")
                )
            strict, group = address in flags.strict_endpoints, address in flags.balanced
            self._add(common, address, strict=strict, group=group)
        if flags.sd_files:
            self._members.setdefault(common, _Members()).sd_files = flags.sd_files

    def _service_config(self, item: YamlMapping, *, group: bool) -> None:
        content, line = self.text(item, "service_config"), item.line_of("service_config")
        if not content:
            return
        if not group:
            self.problem("service_config", "it is for groups", "add group: true, or remove it", line=line)
        try:
            left_out = not_followed(content)
        except ValueError as error:
            self.problem("service_config", str(error), line=line)
            return
        if left_out:
            self.warnings.append(
                f"{self._where}:{line}: service_config: not followed: {', '.join(left_out)}; calls go to the"
                " addresses in turn, and one that was never processed is made again on another"
            )

    # -- client_config

    def _client_config(self, item: YamlMapping, key: str) -> ClientConfig:
        config = self.mapping(item, key)
        if config is None:
            return ClientConfig()
        self.known(config, CLIENT_KEYS, f"{key}.")
        made = ClientConfig(
            server_name=self.server_name(config, f"{key}."),
            compression="none" if config.get("compression") == "" else self.compression(config, f"{key}."),
        )
        tls = self.mapping(config, "tls_config", f"{key}.")
        return made if tls is None else self._tls_config(tls, f"{key}.tls_config.", made)

    def _tls_config(self, tls: YamlMapping, prefix: str, made: ClientConfig) -> ClientConfig:
        keys: tuple[str, ...] = TLS_KEYS
        if "server_name" in tls:
            line = tls.line_of("server_name")
            self.problem(f"{prefix}server_name", "it stands beside tls_config, not in it", line=line)
            keys = (*TLS_KEYS, "server_name")
        self.known(tls, keys, prefix)
        # An empty text unsets what would be inherited; switches cannot be empty.
        for key in ("enabled", "insecure_skip_verify"):
            if tls.get(key) == "":
                self.problem(
                    f"{prefix}{key}",
                    "true or false is wanted",
                    "leave the key out to inherit it",
                    line=tls.line_of(key),
                )
        return msgspec.structs.replace(
            made,
            enabled=self.flag(tls, "enabled", prefix),
            insecure_skip_verify=self.flag(tls, "insecure_skip_verify", prefix),
            cert_file=self.text(tls, "cert_file", prefix),
            key_file=self.text(tls, "key_file", prefix),
            ca_file=self.text(tls, "ca_file", prefix),
            crl_file=self.text(tls, "crl_file", prefix),
            peer_identities=self.identities(tls, prefix),
            min_version="1.3" if tls.get("min_version") == "" else self.min_version(tls, prefix),
        )

    def _check(self, settings: ClientConfig, item: YamlMapping, key: str) -> None:
        """What `key` of `item` comes to must make sense."""
        tls = settings.tls()
        if tls is not None:
            check_client_tls(
                tls,
                lambda name, what, remedy: self.problem(
                    f"{key}.tls_config.{name}", what, remedy, line=_line_of(item, key, "tls_config", name)
                ),
            )

    def _check_plaintext(self, settings: ClientConfig, item: YamlMapping, key: str) -> None:
        """What has to do with TLS must not come to plaintext: a template that lost its values would."""
        config = item.get(key)
        if settings.tls() is not None or not isinstance(config, YamlMapping):
            return
        if "tls_config" in config or config.get("server_name"):
            self.problem(
                f"{key}.tls_config.enabled",
                "TLS is not switched on",
                "write enabled: true, or enabled: false for plaintext",
                line=item.line_of(key),
            )


def _line_of(mapping: YamlMapping, *path: str) -> int:
    """Of the last key of `path` that is there."""
    line = mapping.line
    for key in path:
        line = mapping.line_of(key)
        inner = mapping.get(key)
        if not isinstance(inner, YamlMapping):
            return line
        mapping = inner
    return line
