"""Relabeling as Prometheus writes it, as far as it chooses what is asked: `keep`, `drop` and `hashmod`.

Read strictly, with all faults at once. Thanos reads the same text, but passes over keys that it does not
know, and with them over the rule that somebody meant.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from app.config.expressions import expression
from app.config.model import RelabelAction, RelabelRule
from app.config.yaml_file import YamlList, YamlMapping, parse_yaml, read_config
from app.config.yaml_reader import YamlReader, kind
from app.errors import ConfigError, Problem

FLAG = "--selector.relabel-config"

_SUPPORTED = ("keep", "drop", "hashmod")
_OTHERS = (
    "replace",
    "keepequal",
    "dropequal",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
)
_DEFAULT_ACTION = "replace"
_KEYS = ("source_labels", "separator", "regex", "modulus", "target_label", "replacement", "action")
_VARIABLE = re.compile(rb"\$\(([a-zA-Z_0-9]+)\)")
_LARGEST = 2**64 - 1


def load_relabel_config(path: str, content: str) -> tuple[RelabelRule, ...]:
    """The rules of a file or of a flag's text, whichever is given; none of neither.

    :raises ConfigError: with every fault.
    """
    if path and content:
        raise ConfigError([Problem(f"{FLAG}-file", f"it excludes {FLAG}", "use one of them")])
    where = path or FLAG
    written = read_config(Path(path)) if path else content.encode("utf-8", "surrogateescape")
    return parse_relabel_config(substituted(written, where), where)


def substituted(content: bytes, where: str, environment: Mapping[str, str] | None = None) -> bytes:
    """With every ``$(NAME)`` replaced by the environment's.

    :param where: names the source in faults: a file or a flag.
    :param environment: None: the process's.
    :raises ConfigError: naming every variable that is not set.
    """
    environment = os.environ if environment is None else environment
    names = {match.group(1).decode() for match in _VARIABLE.finditer(content)}
    if unset := sorted(names - environment.keys()):
        raise ConfigError([Problem(where, f"the environment variable {name} is not set") for name in unset])
    return _VARIABLE.sub(lambda match: os.fsencode(environment[match.group(1).decode()]), content)


def parse_relabel_config(content: bytes, where: str) -> tuple[RelabelRule, ...]:
    """The rules in `content`, in its order; none of an empty document.

    :param where: names the source in faults.
    :raises ConfigError: with every fault.
    """
    document = parse_yaml(content, where)
    if document is None:
        return ()
    if not isinstance(document, YamlList):
        what = f"a list of relabeling rules is wanted, not {kind(document)}"
        raise ConfigError([Problem(where, what, "begin each rule with a dash")])
    reader = _Reader(where)
    rules = [
        reader.rule(number, item, line)
        for number, (item, line) in enumerate(zip(document, document.lines, strict=True), start=1)
    ]
    if reader.problems:
        raise ConfigError(reader.problems)
    return tuple(rule for rule in rules if rule is not None)


class _Reader(YamlReader):
    """Mutable: the problems found so far."""

    def rule(self, number: int, item: object, line: int) -> RelabelRule | None:
        """None: at fault, or it does what cannot be done here."""
        self.begin(f"item {number}", line)
        if not isinstance(item, YamlMapping):
            self.problem("", f"a mapping is wanted, not {kind(item)}")
            return None
        self.known(item, _KEYS)
        action = self._action(item)
        sources = self._source_labels(item)
        regex = self._regex(item)
        modulus = self._modulus(item)
        target = self._scalar(item, "target_label", "")
        separator = self._scalar(item, "separator", ";")
        self._scalar(item, "replacement", "")
        if action == "hashmod":
            if not modulus and not isinstance(item.get("modulus"), YamlList | YamlMapping | str):
                self.problem("modulus", "relabel configuration for hashmod requires non-zero modulus")
            if not target:
                what = "relabel configuration for hashmod action requires 'target_label' value"
                self.problem("target_label", what)
        if action is None:
            return None
        return RelabelRule(
            action=action,
            source_labels=sources,
            separator=separator,
            regex=regex,
            modulus=modulus,
            target_label=target,
        )

    def _action(self, item: YamlMapping) -> RelabelAction | None:
        written = self._scalar(item, "action", _DEFAULT_ACTION)
        action, line = written.lower(), item.line_of("action")
        if action in _SUPPORTED:
            return cast(RelabelAction, action)
        remedy = f"write {', '.join(_SUPPORTED[:-1])} or {_SUPPORTED[-1]}"
        if isinstance(item.get("action"), YamlList | YamlMapping):
            return None  # that was said
        if not action:
            self.problem("action", "relabel action cannot be empty", remedy, line=line)
        elif action in _OTHERS:
            absent = " (where none is written)" if "action" not in item else ""
            self.problem("action", f"unsupported relabel action: {action}{absent}", remedy, line=line)
        else:
            self.problem("action", f'unknown relabel action "{written}"', remedy, line=line)
        return None

    def _source_labels(self, item: YamlMapping) -> tuple[str, ...]:
        found = self.texts(item, "source_labels")
        value, line = item.get("source_labels"), item.line_of("source_labels")
        if isinstance(value, YamlList) and "" in value:
            self.problem("source_labels", "a label's name is empty", line=line)
        return tuple(name for name, _ in found)

    def _regex(self, item: YamlMapping) -> str:
        text = self._scalar(item, "regex", "(.*)")
        try:
            expression(text)
        except ValueError as error:
            self.problem("regex", str(error), line=item.line_of("regex"))
        return text

    def _modulus(self, item: YamlMapping) -> int:
        value = item.get("modulus")
        if value is None:
            return 0
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
            return value
        what = f"a number from 1 to {_LARGEST} is wanted, not {kind(value)}"
        if isinstance(value, int) and not isinstance(value, bool):
            what = f"{value} is not between 1 and {_LARGEST}"
        self.problem("modulus", what, line=item.line_of("modulus"))
        return 1

    def _scalar(self, item: YamlMapping, key: str, default: str) -> str:
        """What is written, be it a text or a number: ``regex: 0`` is how one of several shards is named.

        A key with nothing behind it is an empty text, as in Prometheus.
        """
        if key not in item:
            return default
        value = item[key]
        if isinstance(value, YamlList | YamlMapping):
            self._wanted("a text", value, key, item.line_of(key))
            return default
        return value if isinstance(value, str) else "" if value is None else item.written.get(key, str(value))
