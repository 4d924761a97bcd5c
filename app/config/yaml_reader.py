"""Typed values out of a YAML document, with every fault and its line.

Documents are taken apart by hand rather than by a decoder, since a decoder stops at the first fault.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import cast

from app.config.addresses import check_address, same_endpoint
from app.config.client_tls import is_identity
from app.config.model import COMPRESSIONS, Compression, TlsVersion
from app.config.yaml_file import YamlList, YamlMapping
from app.errors import Problem


def kind(value: object) -> str:
    """What `value` is, in words."""
    if value is None:
        return "nothing"
    names = (
        (dict, "a mapping"),
        (list, "a list"),
        (str, "a text"),
        (bool, "a true or false"),
        (int, "a number"),
        (float, "a number"),
    )
    return next((name for each, name in names if isinstance(value, each)), f"a {type(value).__name__}")


class YamlReader:
    """Mutable: the problems found so far, and the item that is being read.

    Each method returns something of its type, or None, even where the document is at fault, so that the
    reading goes on and finds the other faults too. `prefix` is what comes before a key to make its path.

    :param where: names the source: a file or a flag.
    """

    def __init__(self, where: str) -> None:
        self.problems: list[Problem] = []
        self._where = where
        self._item = ""
        self._line = 0

    def begin(self, item: str, line: int) -> None:
        """What follows belongs to `item`, which begins at `line`."""
        self._item, self._line = item, line

    def problem(self, key: str, what: str, remedy: str = "", *, line: int = 0) -> None:
        """Note a fault.

        :param line: of the key; 0: it is none of the document, the item's is named.
        """
        line = line or self._line
        parts = [f"{self._where}:{line}" if line else self._where, self._item, key]
        self.problems.append(Problem(": ".join(filter(None, parts)), what, remedy))

    def known(self, mapping: YamlMapping, keys: Iterable[str], prefix: str = "") -> None:
        """Note every key that is not one of `keys`."""
        known = tuple(keys)
        for key in mapping:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                remedy = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
                self.problem(f"{prefix}{key}", "unknown key", remedy, line=mapping.line_of(key))

    def mapping(self, mapping: YamlMapping, key: str, prefix: str = "") -> YamlMapping | None:
        """None: unset, or at fault."""
        value = mapping.get(key)
        if value is None or isinstance(value, YamlMapping):
            return value
        self._wanted("a mapping", value, f"{prefix}{key}", mapping.line_of(key))
        return None

    def text(self, mapping: YamlMapping, key: str, prefix: str = "") -> str | None:
        """None: unset, or at fault."""
        value = mapping.get(key)
        if value is None or isinstance(value, str):
            return value
        self._wanted("a text", value, f"{prefix}{key}", mapping.line_of(key))
        return None

    def flag(self, mapping: YamlMapping, key: str, prefix: str = "") -> bool | None:
        """None: unset, empty, or at fault."""
        value = mapping.get(key)
        if value in (None, ""):
            return None
        if isinstance(value, bool):
            return value
        self._wanted("true or false", value, f"{prefix}{key}", mapping.line_of(key))
        return None

    def texts(self, mapping: YamlMapping, key: str, prefix: str = "") -> list[tuple[str, int]]:
        """The texts of a list that are not empty, with their lines."""
        value, path = mapping.get(key), f"{prefix}{key}"
        if value is None:
            return []
        if not isinstance(value, YamlList):
            self._wanted("a list", value, path, mapping.line_of(key))
            return []
        found = []
        for entry, line in zip(value, value.lines, strict=True):
            if not isinstance(entry, str):
                self._wanted("a text", entry, path, line)
            elif entry:
                found.append((entry, line))
        return found

    def is_address(self, text: str, key: str, line: int) -> bool:
        """Whether an endpoint can be asked at `text`."""
        try:
            check_address(text)
        except ValueError as error:
            self.problem(key, str(error), line=line)
            return False
        return True

    def compression(self, mapping: YamlMapping, prefix: str = "") -> Compression | None:
        """None: unset, empty, or at fault."""
        value = self.text(mapping, "compression", prefix)
        for known in COMPRESSIONS:
            if value == known:
                return known
        if value:
            line, remedy = mapping.line_of("compression"), f"write {' or '.join(COMPRESSIONS)}"
            self.problem(f"{prefix}compression", f"{value!r} is no compression", remedy, line=line)
        return None

    # -- keys of a tls_config

    def server_name(self, mapping: YamlMapping, prefix: str) -> str | None:
        name = self.text(mapping, "server_name", prefix)
        if name and (":" in name or "/" in name or " " in name):
            self.problem(
                f"{prefix}server_name",
                f"{name!r} is not a host name",
                "write it without a port",
                line=mapping.line_of("server_name"),
            )
        return name

    def min_version(self, mapping: YamlMapping, prefix: str) -> TlsVersion | None:
        value = mapping.get("min_version")
        if value in (None, ""):
            return None
        text = str(value) if isinstance(value, float | str) else ""
        if text not in ("1.2", "1.3"):
            self.problem(
                f"{prefix}min_version",
                f"{value!r} is not a version",
                'write "1.2" or "1.3"; nothing older is spoken here',
                line=mapping.line_of("min_version"),
            )
            return None
        return cast(TlsVersion, text)

    def identities(self, mapping: YamlMapping, prefix: str) -> tuple[str, ...] | None:
        key, line = f"{prefix}peer_identities", mapping.line_of("peer_identities")
        found = self.texts(mapping, "peer_identities", prefix)
        value = mapping.get("peer_identities")
        if isinstance(value, list) and "" in value:
            # Unset would be unpinned: a template that lost its value must not let more peers in.
            self.problem(key, "an identity is empty", "write it, or drop the key", line=line)
        for identity, at in found:
            if not is_identity(identity):
                self.problem(
                    key,
                    f"{identity!r} is neither a SPIFFE URI nor a DNS name",
                    "write for example spiffe://eu.example/sidecar",
                    line=at,
                )
        return None if value is None else tuple(identity for identity, _ in found)

    def _wanted(self, wanted: str, value: object, path: str, line: int) -> None:
        self.problem(path, f"{wanted} is wanted, not {kind(value)}", line=line)


class Addresses:
    """Mutable: the addresses seen so far, in any spelling, and where; added to by `first`."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], str] = {}

    def first(self, address: str, where: str) -> str:
        """Take note of a valid address; where it was seen before, or ""."""
        endpoint = same_endpoint(address)
        before = self._seen.get(endpoint, "")
        self._seen.setdefault(endpoint, where)
        return before


def is_unset(value: object) -> bool:
    """Whether a value says no more than its absence."""
    return value is None or value is False or value in ("", []) or (isinstance(value, Mapping) and not value)
