"""label_replace and label_join."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import re2

from app.engine.fast.context import Context
from app.engine.fast.grid import Grid
from app.engine.fast.labels import Ids
from app.engine.model import EvaluationError
from app.engine.promql.ast import Call, StringLiteral, unwrapped
from app.engine.promql.quoting import is_text

_REFERENCE = re.compile(r"\$(?:(\$)|([A-Za-z0-9_]+)|\{([A-Za-z0-9_]+)\})")


def relabeled(context: Context, call: Call, grid: Grid) -> Grid:
    """With one label set anew on each row; rows that become equal are one."""
    texts: list[str] = []
    for argument in call.args[1:]:
        argument = unwrapped(argument)
        assert isinstance(argument, StringLiteral)
        texts.append(argument.value)
    labels, texts_of = grid.labels, context.texts
    if call.func == "label_join":
        target, separator, *sources = texts
        for source in sources:
            _check_name(source, "label_join", "source")
        _check_name(target, "label_join", "destination")
        columns = np.stack([labels.column(source) for source in sources], axis=1) if sources else None
        if columns is None:
            ids = np.zeros(len(grid), np.int32)
        else:

            def join(row: tuple[int, ...]) -> int:
                parts = [texts_of.text(number) for number in row]
                texts_of.room(sum(map(len, parts)) + len(separator) * len(parts))
                return texts_of.made(separator.join(parts))

            ids = _mapped(context, columns, join)
        return grid.with_labels(labels.replaced(target, ids)).merged(context)
    target, template, source, pattern = texts
    matched = _matcher(pattern)
    _check_name(target, "label_replace", "destination")

    def replace(row: tuple[int, ...]) -> int:
        match = matched(texts_of.text(row[0]))
        if match is None:
            return -1
        return texts_of.made(expand(template, match, texts_of.room))

    made = _mapped(context, labels.column(source)[:, None], replace)
    ids = np.where(made < 0, labels.column(target), made).astype(np.int32)
    return grid.with_labels(labels.replaced(target, ids)).merged(context)


def _mapped(context: Context, rows: Ids, make: Callable[[tuple[int, ...]], int]) -> Ids:
    """Call `make` once for each distinct row."""
    distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
    made = np.empty(len(distinct), np.int32)
    for place, row in enumerate(distinct.tolist()):
        context.check()
        made[place] = make(tuple(row))
    return made[inverse.reshape(-1)]


def _check_name(name: str, func: str, what: str) -> None:
    if not name or not is_text(name):
        shown = name.encode("utf-8", "replace").decode()
        raise EvaluationError(f"invalid {what} label name in {func}(): {shown}")


def _matcher(pattern: str) -> Callable[[str], Any]:
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        matched: Callable[[str], Any] = re2.compile(pattern, options).fullmatch
    except re2.error as error:
        raise EvaluationError(f"invalid regular expression in label_replace(): {pattern}") from error
    return matched


def expand(template: str, match: Any, room: Callable[[int], None]) -> str:
    """Put the groups of a match in the place of ``$1``, ``${1}`` and ``${name}``; anything else is empty.

    :param room: called before with the characters that the result may have at most; raises where they are
        too many.
    """
    longest = max(len(text or "") for text in (match.group(0), *match.groups()))
    room(len(template) + template.count("$") * longest)

    def group(reference: "re.Match[str]") -> str:
        if reference[1]:
            return "$"
        name = reference[2] or reference[3]
        if name.isdigit():
            return (match.group(int(name)) or "") if int(name) <= match.re.groups else ""
        return (match.group(name) or "") if name in match.re.groupindex else ""

    return _REFERENCE.sub(group, template)
