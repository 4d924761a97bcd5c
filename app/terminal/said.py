"""What is said beside an answer, on stderr, with the place in the query that it is about."""

import re
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

# ``1:5: parse error: …`` of faults, ``… (1:5)`` of annotations: line and column from 1.
_PLACES = (re.compile(r"(?:^|[ :])(\d{1,6}):(\d{1,6}): parse error"), re.compile(r"\((\d{1,6}):(\d{1,6})\)$"))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_INFO, _WARNING = "PromQL info: ", "PromQL warning: "
_INDENT = 2
_MARK = "^"


def harmless(text: str) -> str:
    """Without what moves the cursor, colours, or turns the direction of writing: it comes from elsewhere."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def show_said(texts: Iterable[str], query: str, errors: Console) -> None:
    """Warnings and annotations."""
    for text in texts:
        info = text.startswith(_INFO)
        plain = text.removeprefix(_INFO).removeprefix(_WARNING)
        _show("info" if info else "warning", plain, "cyan" if info else "yellow", query, errors)


def show_failure(text: str, query: str, errors: Console) -> None:
    """Why there is no answer."""
    _show("error", text, "red", query, errors)


def _show(label: str, text: str, style: str, query: str, errors: Console) -> None:
    errors.print(Text.assemble((f"{label}: ", f"bold {style}"), harmless(text)), soft_wrap=True)
    for line in marked(text, query, errors.width):
        errors.print(Text(line, style=style if line.strip() == _MARK else ""), soft_wrap=True)


def marked(text: str, query: str, width: int) -> list[str]:
    """The line of the query that a text is about, and a mark under the place; nothing where it says none.

    :param width: columns that there are; of a longer line what is around the place is shown.
    """
    match = next((match for each in _PLACES if (match := each.search(text))), None)
    if match is None:
        return []
    lines = query.split("\n")
    line, column = int(match[1]) - 1, int(match[2]) - 1
    if not (0 <= line < len(lines) and 0 <= column <= len(lines[line])):
        return []
    before, after = Text(harmless(lines[line][:column])), Text(harmless(lines[line][column:]))
    room = max(width - _INDENT, 8)
    begin, place = "", before.cell_len
    if before.cell_len + after.cell_len > room:
        left = max(min(before.cell_len, room // 2), room - after.cell_len - 1)
        if left < before.cell_len:
            begin = "…"
            before = before[len(before) - max(0, left - 1) :]
            while before.cell_len > left - 1:
                before = before[1:]
        place = before.cell_len + len(begin)
        after.truncate(room - place, overflow="ellipsis")
    return [f"{' ' * _INDENT}{begin}{before.plain}{after.plain}", " " * (_INDENT + place) + _MARK]
