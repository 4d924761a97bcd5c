"""`endpoints.yaml`: the proposal's file, read strictly, with all faults at once.

The file is taken apart by hand rather than by a decoder, since a decoder stops at the first fault. Each one
is named with the file, the item (counted from 1, with its name) and the key.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from app.config.addresses import same_endpoint, split_address
from app.config.model import EndpointGroup, Mode, TlsConfig, TlsVersion
from app.errors import ConfigError, Problem

MAX_FILE_SIZE = 4 * 1024 * 1024

_ITEM_KEYS = ("name", "tls_config", "endpoints", "endpoints_sd_files", "mode")
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
_SPIFFE = re.compile(r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_DNS = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML takes the last of two equal keys; here that is a fault."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value != "<<":
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key_node.value!r} is there twice", key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


def load_endpoints_config(path: Path) -> tuple[EndpointGroup, ...]:
    """The groups of the file, in its order.

    :raises ConfigError: with every fault of the file.
    """
    document = _document(path)
    reader = _Reader(path)
    if document is None:
        raise ConfigError([Problem(str(path), "the file is empty", "write a list of endpoint groups")])
    if not isinstance(document, list):
        raise ConfigError([Problem(str(path), f"a list of endpoint groups is wanted, not {_kind(document)}")])
    groups = [reader.group(number, item) for number, item in enumerate(document, start=1)]
    reader.check_unique(groups)
    if reader.problems:
        raise ConfigError(reader.problems)
    return tuple(groups)


def _document(path: Path) -> object:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise ConfigError([Problem(str(path), (error.strerror or str(error)).lower())]) from None
    if len(content) > MAX_FILE_SIZE:
        raise ConfigError([Problem(str(path), f"larger than {MAX_FILE_SIZE} bytes")])
    try:
        return cast(object, yaml.load(content.decode(), Loader=_UniqueKeys))
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(path), f"not UTF-8 at byte {error.start}")]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError([Problem(where, f"not valid YAML: {error.problem or error.context}")]) from None
    # PyYAML's constructors raise what they like on values such as `!!int ""` or `!!timestamp x`.
    except (yaml.YAMLError, ValueError, LookupError, ArithmeticError, AttributeError, TypeError) as error:
        raise ConfigError([Problem(str(path), f"not valid YAML: {error}")]) from None
    except RecursionError:
        raise ConfigError([Problem(str(path), "nested too deeply")]) from None


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    names = {
        dict: "a mapping",
        list: "a list",
        str: "a text",
        bool: "a true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), f"a {type(value).__name__}")


class _Reader:
    """Mutable: the problems found so far.

    Each method returns something of its type even where the file is at fault, so that the reading goes on
    and finds the other faults too.
    """

    def __init__(self, path: Path) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._item = ""

    def _problem(self, key: str, what: str, remedy: str = "") -> None:
        where = f"{self._path}: {self._item}"
        self.problems.append(Problem(f"{where}: {key}" if key else where, what, remedy))

    # -- items

    def group(self, number: int, item: object) -> EndpointGroup:
        self._item = f"item {number}"
        if not isinstance(item, dict):
            self._problem("", f"a mapping is wanted, not {_kind(item)}")
            return EndpointGroup(name=f"group-{number}")
        name = self._text(item, "name", "")
        if name:
            self._item = f"item {number} ({name})"
        self._known(item, _ITEM_KEYS, "")
        mode = self._text(item, "mode", "")
        if mode not in ("", "strict"):
            self._problem("mode", f"{mode!r} is not a mode", 'write "" or "strict"')
            mode = ""
        endpoints = tuple(self._addresses(item))
        sd_files = tuple(self._sd_files(item))
        if not endpoints and not sd_files and not {"endpoints", "endpoints_sd_files"} & set(item):
            self._problem("", "it has neither endpoints nor endpoints_sd_files")
        return EndpointGroup(
            name=name or f"group-{number}",
            tls=self._tls(item) if "tls_config" in item else None,
            endpoints=endpoints,
            sd_files=sd_files,
            mode=Mode(mode),
        )

    def check_unique(self, groups: list[EndpointGroup]) -> None:
        names: dict[str, int] = {}
        addresses: dict[tuple[str, int], str] = {}
        for number, group in enumerate(groups, start=1):
            self._item = f"item {number} ({group.name})"
            if group.name in names:
                self._problem("name", f"{group.name!r} is the name of item {names[group.name]} too")
            names.setdefault(group.name, number)
            for address in group.endpoints:
                endpoint = same_endpoint(address)
                if endpoint in addresses:
                    self._problem("endpoints", f"{address} is in {addresses[endpoint]} already")
                addresses.setdefault(endpoint, self._item)

    def _addresses(self, item: Mapping[object, object]) -> list[str]:
        found = []
        for address in self._texts(item, "endpoints"):
            try:
                split_address(address)
            except ValueError as error:
                self._problem("endpoints", str(error))
            else:
                found.append(address)
        return found

    def _sd_files(self, item: Mapping[object, object]) -> list[str]:
        value = item.get("endpoints_sd_files")
        if value is None:
            return []
        if not isinstance(value, list):
            self._problem(
                "endpoints_sd_files", f"a list is wanted, not {_kind(value)}", "write - files: [...]"
            )
            return []
        found: list[str] = []
        for position, entry in enumerate(value, start=1):
            key = f"endpoints_sd_files[{position}]"
            if not isinstance(entry, dict):
                self._problem(key, f"a mapping is wanted, not {_kind(entry)}", "write - files: [...]")
                continue
            self._known(entry, ("files",), f"{key}.")
            files = self._texts(entry, "files", f"{key}.files")
            for glob in files:
                if not glob.endswith((".json", ".yml", ".yaml", ".json*", ".yml*", ".yaml*", "*")):
                    self._problem(f"{key}.files", f"{glob!r} does not end in .json, .yml or .yaml")
            found.extend(files)
        return found

    # -- tls_config

    def _tls(self, item: Mapping[object, object]) -> TlsConfig | None:
        value = item["tls_config"]
        if value is not None and not isinstance(value, dict):
            self._problem("tls_config", f"a mapping is wanted, not {_kind(value)}")
            return None
        tls = value or {}
        self._known(tls, _TLS_KEYS, "tls_config.")
        if not any(value not in (None, "", [], False) for value in tls.values()):
            self._problem(
                "tls_config",
                "it sets nothing",
                "leave the key out for plaintext, or set one of its keys, for example ca_file, for TLS",
            )
            return None
        config = TlsConfig(
            cert_file=self._text(tls, "cert_file", "tls_config."),
            key_file=self._text(tls, "key_file", "tls_config."),
            ca_file=self._text(tls, "ca_file", "tls_config."),
            crl_file=self._text(tls, "crl_file", "tls_config."),
            server_name=self._server_name(tls),
            min_version=self._min_version(tls),
            insecure_skip_verify=self._flag(tls, "insecure_skip_verify", "tls_config."),
            peer_identities=tuple(self._identities(tls)),
        )
        check_client_tls(config, lambda key, what, remedy: self._problem(f"tls_config.{key}", what, remedy))
        return config

    def _server_name(self, tls: Mapping[object, object]) -> str:
        name = self._text(tls, "server_name", "tls_config.")
        if name and (":" in name or "/" in name or " " in name):
            self._problem("tls_config.server_name", f"{name!r} is not a host name", "write it without a port")
        return name

    def _min_version(self, tls: Mapping[object, object]) -> TlsVersion:
        value = tls.get("min_version")
        if value in (None, ""):
            return "1.3"
        text = str(value) if isinstance(value, float | str) and not isinstance(value, bool) else ""
        if text not in ("1.2", "1.3"):
            self._problem("tls_config.min_version", f"{value!r} is not a version", 'write "1.2" or "1.3"')
            return "1.3"
        return cast(TlsVersion, text)

    def _identities(self, tls: Mapping[object, object]) -> list[str]:
        found = self._texts(tls, "peer_identities", "tls_config.peer_identities")
        value = tls.get("peer_identities")
        if isinstance(value, list) and "" in value:
            # Unset would be unpinned: a template that lost its value must not let more peers in.
            self._problem("tls_config.peer_identities", "an identity is empty", "write it, or drop the key")
        for identity in found:
            if not is_identity(identity):
                self._problem(
                    "tls_config.peer_identities",
                    f"{identity!r} is neither a SPIFFE URI nor a DNS name",
                    "write for example spiffe://eu.example/sidecar",
                )
        return found

    # -- values

    def _known(self, mapping: Mapping[object, object], keys: tuple[str, ...], prefix: str) -> None:
        for key in mapping:
            if key not in keys:
                close = difflib.get_close_matches(str(key), keys, n=1)
                remedy = f"did you mean {close[0]}?" if close else f"known are {', '.join(keys)}"
                self._problem(f"{prefix}{key}", "unknown key", remedy)

    def _text(self, mapping: Mapping[object, object], key: str, prefix: str) -> str:
        value = mapping.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self._problem(f"{prefix}{key}", f"a text is wanted, not {_kind(value)}")
            return ""
        return value

    def _flag(self, mapping: Mapping[object, object], key: str, prefix: str) -> bool:
        value = mapping.get(key)
        if value in (None, ""):
            return False
        if not isinstance(value, bool):
            self._problem(f"{prefix}{key}", f"true or false is wanted, not {_kind(value)}")
            return False
        return value

    def _texts(self, mapping: Mapping[object, object], key: str, path: str = "") -> list[str]:
        value = mapping.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self._problem(path or key, f"a list is wanted, not {_kind(value)}")
            return []
        found = []
        for entry in value:
            if not isinstance(entry, str):
                self._problem(path or key, f"a text is wanted, not {_kind(entry)}")
            elif entry:
                found.append(entry)
        return found


def is_identity(text: str) -> bool:
    """Whether `text` is a SPIFFE URI or a DNS name."""
    return bool((_SPIFFE if "://" in text else _DNS).fullmatch(text))


def check_client_tls(config: TlsConfig, problem: Callable[[str, str, str], None]) -> None:
    """What must not be set together, for files and flags alike; `problem` takes key, fault and remedy."""
    if config.cert_file and not config.key_file:
        problem("key_file", "missing beside cert_file", "set both or neither")
    if config.key_file and not config.cert_file:
        problem("cert_file", "missing beside key_file", "set both or neither")
    if config.insecure_skip_verify:
        for key in ("ca_file", "crl_file", "peer_identities"):
            if getattr(config, key):
                problem(
                    "insecure_skip_verify",
                    f"it switches off what {key} asks for",
                    f"remove insecure_skip_verify or {key}",
                )
    elif config.crl_file and not config.ca_file:
        problem("crl_file", "a CRL needs ca_file: the system's roots have none", "set ca_file")
