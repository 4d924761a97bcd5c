"""`endpoints.yaml`: the proposal's file, read strictly, with all faults at once.

Each fault is named with the file, its line, the item (counted from 1, with its name) and the key.
"""

from pathlib import Path

from app.config.client_tls import check_client_tls
from app.config.model import EndpointGroup, Mode, TlsConfig
from app.config.yaml_file import YamlList, YamlMapping, parse_yaml, read_config
from app.config.yaml_reader import Addresses, YamlReader, is_unset, kind
from app.errors import ConfigError, Problem

_ITEM_KEYS = ("name", "tls_config", "endpoints", "endpoints_sd_files", "mode", "compression")
_TLS_KEYS = (
    "cert_file",
    "key_file",
    "ca_file",
    "server_name",
    "min_version",
    "insecure_skip_verify",
    "peer_identities",
    "crl_file",
)


def load_endpoints_config(path: Path) -> tuple[EndpointGroup, ...]:
    """The groups of the file, in its order.

    :raises ConfigError: with every fault of the file.
    """
    return parse_endpoints_config(read_config(path), str(path))


def parse_endpoints_config(content: bytes, where: str) -> tuple[EndpointGroup, ...]:
    """The groups in `content`, in its order.

    :param where: names the file in faults.
    :raises ConfigError: with every fault.
    """
    document = parse_yaml(content, where)
    if document is None:
        raise ConfigError([Problem(where, "the file is empty", "write a list of endpoint groups")])
    if not isinstance(document, YamlList):
        remedy = ""
        if isinstance(document, YamlMapping) and {"endpoints", "default_client_config"} & document.keys():
            remedy = "this is Thanos's format: name the file with --endpoint.sd-config-file"
        what = f"a list of endpoint groups is wanted, not {kind(document)}"
        raise ConfigError([Problem(where, what, remedy)])
    reader = _Reader(where)
    groups = [
        reader.group(number, item, line)
        for number, (item, line) in enumerate(zip(document, document.lines, strict=True), start=1)
    ]
    if reader.problems:
        raise ConfigError(reader.problems)
    return tuple(groups)


class _Reader(YamlReader):
    """Mutable: the problems, names and addresses found so far."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self._names: dict[str, int] = {}
        self._addresses = Addresses()

    def group(self, number: int, item: object, line: int) -> EndpointGroup:
        self.begin(f"item {number}", line)
        if not isinstance(item, YamlMapping):
            self.problem("", f"a mapping is wanted, not {kind(item)}")
            return EndpointGroup(name=f"group-{number}")
        name = self._name(item, number, line)
        self.known(item, _ITEM_KEYS)
        mode = self.text(item, "mode") or ""
        if mode not in ("", "strict"):
            self.problem("mode", f"{mode!r} is not a mode", 'write "" or "strict"', line=item.line_of("mode"))
            mode = ""
        endpoints = tuple(self._endpoints(item, f"item {number} ({name})"))
        sd_files = tuple(self._sd_files(item))
        if not {"endpoints", "endpoints_sd_files"} & set(item):
            self.problem("", "it has neither endpoints nor endpoints_sd_files")
        return EndpointGroup(
            name=name,
            tls=self._tls(item) if "tls_config" in item else None,
            endpoints=endpoints,
            sd_files=sd_files,
            mode=Mode(mode),
            compression=self.compression(item),
        )

    def _name(self, item: YamlMapping, number: int, line: int) -> str:
        given = self.text(item, "name")
        name = given or f"group-{number}"
        if given:
            self.begin(f"item {number} ({given})", line)
        if name in self._names:
            self.problem(
                "name", f"{name!r} is the name of item {self._names[name]} too", line=item.line_of("name")
            )
        self._names.setdefault(name, number)
        return name

    def _endpoints(self, item: YamlMapping, where: str) -> list[str]:
        found = []
        for address, line in self.texts(item, "endpoints"):
            if self.is_address(address, "endpoints", line):
                found.append(address)
                before = self._addresses.first(address, where)
                if before:
                    self.problem("endpoints", f"{address} is in {before} already", line=line)
        return found

    def _sd_files(self, item: YamlMapping) -> list[str]:
        value = item.get("endpoints_sd_files")
        if value is None:
            return []
        wanted, remedy = "endpoints_sd_files", "write - files: [...]"
        if not isinstance(value, YamlList):
            line = item.line_of("endpoints_sd_files")
            self.problem(wanted, f"a list is wanted, not {kind(value)}", remedy, line=line)
            return []
        found: list[str] = []
        for position, (entry, line) in enumerate(zip(value, value.lines, strict=True), start=1):
            key = f"{wanted}[{position}]"
            if not isinstance(entry, YamlMapping):
                self.problem(key, f"a mapping is wanted, not {kind(entry)}", remedy, line=line)
                continue
            self.known(entry, ("files",), f"{key}.")
            for glob, at in self.texts(entry, "files", f"{key}."):
                if not glob.endswith((".json", ".yml", ".yaml", ".json*", ".yml*", ".yaml*", "*")):
                    self.problem(f"{key}.files", f"{glob!r} does not end in .json, .yml or .yaml", line=at)
                found.append(glob)
        return found

    def _tls(self, item: YamlMapping) -> TlsConfig | None:
        tls, at, prefix = self.mapping(item, "tls_config"), item.line_of("tls_config"), "tls_config."
        if tls is None and item["tls_config"] is not None:
            return None
        if tls is None:
            tls = YamlMapping(at)
        self.known(tls, _TLS_KEYS, prefix)
        if all(is_unset(value) for value in tls.values()):
            self.problem(
                "tls_config",
                "it sets nothing",
                "leave the key out for plaintext, or set one of its keys, for example ca_file, for TLS",
                line=at,
            )
            return None
        config = TlsConfig(
            cert_file=self.text(tls, "cert_file", prefix) or "",
            key_file=self.text(tls, "key_file", prefix) or "",
            ca_file=self.text(tls, "ca_file", prefix) or "",
            crl_file=self.text(tls, "crl_file", prefix) or "",
            server_name=self.server_name(tls, prefix) or "",
            min_version=self.min_version(tls, prefix) or "1.3",
            insecure_skip_verify=self.flag(tls, "insecure_skip_verify", prefix) or False,
            peer_identities=self.identities(tls, prefix) or (),
        )
        check_client_tls(
            config,
            lambda key, what, remedy: self.problem(
                f"{prefix}{key}", what, remedy, line=tls.line_of(key) if key in tls else at
            ),
        )
        return config
