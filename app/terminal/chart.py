"""A plot with its axes: values at the left, times below, and what is drawn."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec
from rich.console import Console
from rich.text import Text

from app.engine.promql.literals import duration_text
from app.terminal.axes import Mark, time_marks, utc, value_marks
from app.terminal.model import Question
from app.terminal.plot import Drawing, Points, drawn, extent, share

PLOTTED = 10
"""Series in a plot; more could not be told apart."""
_COLORS = "green cyan magenta yellow blue red bright_green bright_cyan bright_magenta bright_yellow".split()
_LETTERS = "abcdefghij"
_NARROW = 60
_LEAST, _MOST = 8, 20
"""Lines of a plot."""
_BETWEEN_VALUES, _BETWEEN_TIMES = 3, 16
"""Lines and columns that a mark has for itself, about."""


class Pen(msgspec.Struct, frozen=True):
    """How series are told apart.

    :param letters: by the letter that they are drawn with, and not by colour alone.
    """

    letters: bool

    def mark(self, number: int) -> Text:
        """Of a series, beside its name; empty of one that is not drawn."""
        if number >= PLOTTED:
            return Text("")
        return Text(_LETTERS[number] if self.letters else "●", style=self.style(number))

    def style(self, number: int) -> str:
        return _COLORS[number % len(_COLORS)] if number >= 0 else ""


def pen(console: Console, count: int) -> Pen:
    """Of a terminal: without dots, and for several series without colours, they are drawn with letters."""
    colors = console.color_system is not None and not console.no_color
    return Pen(letters=not _has_dots(console) or (not colors and count > 1))


def _has_dots(console: Console) -> bool:
    return console.encoding.startswith("utf")


def chart(series: Sequence[Points], question: Question, console: Console) -> Iterator[Text]:
    """The lines of it; none where nothing is finite.

    :param series: all that there are; the first `PLOTTED` are drawn.
    """
    start, end = question.start / 1000, question.end / 1000
    height = _LEAST if console.width < _NARROW else max(_LEAST, min(_MOST, console.height // 2))
    bounds = extent(series[:PLOTTED])
    if bounds is None:
        return
    beside = _gutter(*bounds, height)
    room = max(console.width - beside.width - 2, 4)
    drawing = drawn(series[:PLOTTED], start, end, room, height)
    if drawing is None:
        return
    yield from _field(drawing, beside, pen(console, len(series)), _has_dots(console))
    times = time_marks(start, end, room // _BETWEEN_TIMES)
    yield from _below(times, start, end, room, beside.width, console)
    parts = _caption(question, len(series))
    whole = ", ".join(parts)
    for line in [whole] if len(whole) <= console.width else parts:
        yield Text(line, style="dim")


class _Gutter(msgspec.Struct, frozen=True):
    """:param texts: line -> what is written beside it."""

    width: int
    texts: dict[int, str]


def _gutter(low: float, high: float, height: int) -> _Gutter:
    marks = value_marks(low, high, max(2, height // _BETWEEN_VALUES))
    texts = {}
    for mark in marks:
        texts[round((1 - share(mark.at, low, high)) * (4 * height - 1)) // 4] = mark.text
    return _Gutter(max(map(len, texts.values()), default=0), texts)


def _field(drawing: Drawing, beside: _Gutter, pen: Pen, lines: bool) -> Iterator[Text]:
    """:param lines: the terminal has those that boxes are drawn with."""
    for number, cells in enumerate(drawing.cells):
        said = beside.texts.get(number, "")
        edge = ("┤" if said else "│") if lines else ("+" if said else "|")
        line = Text.assemble((f"{said:>{beside.width}} {edge}", "dim"))
        for owner, run in groupby(cells, key=lambda cell: cell[1]):
            if pen.letters and owner >= 0:
                line.append(_LETTERS[owner] * len(list(run)), style=pen.style(owner))
            else:
                line.append("".join(character for character, _ in run), style=pen.style(owner))
        yield line


def _below(
    marks: Sequence[Mark], start: float, end: float, room: int, indent: int, console: Console
) -> Iterator[Text]:
    """The axis of times, and the times in the middle below their marks, as far as they have room."""
    corner, flat, tick = "└─┴" if _has_dots(console) else "+-+"
    axis, written = [flat] * room, ""
    for mark in marks:
        column = round((mark.at - start) / ((end - start) or 1) * (room - 1))
        begin = max(0, min(column - len(mark.text) // 2, room - len(mark.text)))
        if begin < len(written) + bool(written):
            continue
        axis[column] = tick
        written = written.ljust(begin) + mark.text
    yield Text(" " * (indent + 1) + corner + "".join(axis), style="dim")
    if written:
        yield Text(" " * (indent + 2) + written, style="dim")


def _caption(question: Question, count: int) -> list[str]:
    """When, and how much of all it is."""
    begin, end = utc(question.start / 1000), utc(question.end / 1000)
    parts = []
    if begin is not None and end is not None:
        last = end.strftime("%H:%M:%S" if begin.date() == end.date() else "%Y-%m-%d %H:%M:%S")
        parts.append(f"{begin:%Y-%m-%d %H:%M:%S} to {last} UTC")
    parts.append(f"every {duration_text(question.step)}")
    if count > PLOTTED:
        parts.append(f"the first {PLOTTED} of {count} series are drawn")
    return parts
