"""YAML as operators write it: no key twice, nothing nested without end, and every value knows its line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml

from app.errors import ConfigError, Problem

MAX_FILE_SIZE = 4 * 1024 * 1024
MAX_DEPTH = 30
"""Of lists and mappings; no file here has more than six."""


class YamlMapping(dict[object, object]):
    """A mapping that knows where it stands; not changed once it is read.

    :param line: of its beginning, counted from 1.
    :ivar written: scalars as they stand in the text, which a number no longer tells: ``007``.
    """

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[object, int] = {}
        self.written: dict[object, str] = {}

    def line_of(self, key: object) -> int:
        """Of `key`, or of the beginning where there is no such key."""
        return self.lines.get(key, self.line)


class YamlList(list[object]):
    """A list that knows where it stands; not changed once it is read.

    :param line: of its beginning, counted from 1.
    """

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


class NestedTooDeeply(ValueError):
    """Lists and mappings within each other, more than what is read here can have."""


def check_depth(content: bytes, limit: int) -> None:
    """libyaml's events come one by one, while its tree is built by recursion in C: deep nesting there is a
    segmentation fault, not an exception.

    :raises NestedTooDeeply: beyond `limit`.
    :raises yaml.YAMLError: it is no YAML.
    """
    depth = 0
    for event in yaml.parse(content, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > limit:
                raise NestedTooDeeply("nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Loader(yaml.CSafeLoader):
    """PyYAML takes the last of two equal keys; here that is a fault.

    Mutable: the mappings that were looked at; a merge (``<<``) adds keys to them later, rightly equal ones.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._checked: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if id(node) not in self._checked:
            self._checked.add(id(node))
            _check_keys(node)
        super().flatten_mapping(node)

    def located_mapping(self, node: yaml.MappingNode) -> Iterator[YamlMapping]:
        made = YamlMapping(node.start_mark.line + 1)
        yield made  # first, so that it may be referred to from within
        made.update(self.construct_mapping(node))
        made.lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
        scalars = (pair for pair in node.value if isinstance(pair[1], yaml.ScalarNode))
        made.written = {key.value: value.value for key, value in scalars}

    def located_list(self, node: yaml.SequenceNode) -> Iterator[YamlList]:
        made = YamlList(node.start_mark.line + 1)
        yield made
        made.extend(self.construct_sequence(node))
        made.lines = [each.start_mark.line + 1 for each in node.value]


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.located_mapping)
_Loader.add_constructor("tag:yaml.org,2002:seq", _Loader.located_list)


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)


def read_config(path: Path) -> bytes:
    """The bytes of a configuration file.

    :raises ConfigError: it cannot be read, or is larger than `MAX_FILE_SIZE`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise ConfigError([Problem(str(path), (error.strerror or str(error)).lower())]) from None
    if len(content) > MAX_FILE_SIZE:
        raise ConfigError([Problem(str(path), f"larger than {MAX_FILE_SIZE} bytes")])
    return content


def parse_yaml(content: bytes, where: str) -> object:
    """The document in `content`; its mappings are `YamlMapping`, its lists `YamlList`.

    :param where: names the source in faults: a file or a flag.
    :raises ConfigError: it is no YAML, or not UTF-8.
    """
    try:
        content.decode()
        check_depth(content, MAX_DEPTH)
        loader: Any = _Loader(content)
        try:
            return cast(object, loader.get_single_data())
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(where, f"not UTF-8 at byte {error.start}")]) from None
    except NestedTooDeeply as error:
        raise ConfigError([Problem(where, str(error))]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        raise ConfigError([Problem(place, f"not valid YAML: {error.problem or error.context}")]) from None
    # PyYAML's constructors raise what they like on values such as `!!int ""` or `!!timestamp x`.
    except (yaml.YAMLError, ValueError, LookupError, ArithmeticError, AttributeError, TypeError) as error:
        raise ConfigError([Problem(where, f"not valid YAML: {error}")]) from None
    except RecursionError:
        raise ConfigError([Problem(where, "nested too deeply")]) from None
