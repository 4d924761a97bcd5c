"""An answer on a terminal as tables and a plot, in a pipe as lines with tabs."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.engine.histogram.floats import to_api, to_general
from app.engine.promql.quoting import quoted
from app.terminal.model import Found, Histogram, Question, Series
from app.terminal.plot import Drawing, drawn
from app.terminal.said import harmless

SHOWN = 500
"""Series on a terminal."""
PLOTTED = 10
"""Series in a plot; more could not be told apart."""
_NARROW = 60
"""Columns below which a table would be cut; then each series gets a paragraph."""
_COLORS = "green cyan magenta yellow blue red bright_green bright_cyan bright_magenta bright_yellow".split()
_MARK = "●"
_TALL, _LOW = 12, 8
"""Lines of a plot, and of one on a narrow terminal."""


def show(found: Found, question: Question, console: Console, *, plot: bool) -> None:
    """The whole answer.

    :param plot: draw ranges, if the terminal can.
    """
    if not console.is_terminal:
        for line in _lines(found):
            console.file.write(line + "\n")
    elif found.single is not None:
        console.print(Text(harmless(found.single[1])), soft_wrap=True)
    elif not found.series:
        console.print(Text("no series", style="dim"))
    elif found.kind == "matrix" and question.step:
        if plot and console.encoding.startswith("utf"):
            _plot(found.series[:PLOTTED], question, console)
        _summary(found.series[:SHOWN], console)
    elif found.kind == "matrix":
        _points(found.series[:SHOWN], console)
    else:
        _vector(found.series[:SHOWN], console)
    if console.is_terminal and len(found.series) > SHOWN:
        more = f"and {len(found.series) - SHOWN} more series; a pipe, or --output=json, gets all"
        console.print(Text(more, style="dim"))


def labels_text(metric: dict[str, str]) -> str:
    """``up{job="a"}``, as it could be asked for."""
    name = metric.get("__name__", "")
    plain = name.replace(":", "_").isidentifier() and name.isascii()
    parts = [quoted(name)] if name and not plain else []
    for label, value in sorted(metric.items()):
        if label != "__name__":
            shown = label if label.isidentifier() and label.isascii() else quoted(label)
            parts.append(f"{shown}={quoted(value)}")
    braces = f"{{{', '.join(parts)}}}" if parts or not name else ""
    return harmless((name if plain else "") + braces)


def _lines(found: Found) -> Iterator[str]:
    if found.single is not None:
        yield harmless(found.single[1])
    for each in found.series:
        name = labels_text(each.metric)
        if found.kind == "vector":
            yield f"{name}\t{_value(each)}"
        for time, value in _all_points(each):
            yield f"{name}\t{_seconds(time)}\t{value}"


def _all_points(series: Series) -> list[tuple[float, str]]:
    """Values and histograms, by time."""
    histograms = [(time, _histogram(value)) for time, value in series.histograms]
    values = [(time, harmless(value)) for time, value in series.values]
    return sorted([*values, *histograms], key=lambda point: point[0])


def _value(series: Series) -> str:
    if series.histogram is not None:
        return _histogram(series.histogram[1])
    return harmless(series.value[1]) if series.value is not None else ""


def _histogram(histogram: Histogram) -> str:
    text = f"count {histogram.count}, sum {histogram.sum}, {len(histogram.buckets)} buckets"
    return harmless(text)


def _seconds(time: float) -> str:
    return f"{time:.3f}".rstrip("0").rstrip(".")


def _instant(time: float) -> str:
    """For people: UTC, with a fraction where there is one."""
    try:
        moment = datetime.fromtimestamp(time, UTC)
    except (OverflowError, ValueError, OSError):
        return _seconds(time)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + (f".{moment.microsecond // 1000:03}" if time % 1 else "")


def _table(columns: Sequence[str], right: int) -> Table:
    """:param right: from which column on numbers are."""
    table = Table(box=box.SIMPLE_HEAD)
    for position, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="right" if position >= right else "left")
    return table


def _vector(series: Iterable[Series], console: Console) -> None:
    if console.width < _NARROW:
        for each in series:
            console.print(Text(labels_text(each.metric), overflow="fold"))
            console.print(Text(f"  {_value(each)}", style="bold", overflow="fold"))
        return
    table = _table(("series", "value"), right=1)
    for each in series:
        table.add_row(Text(labels_text(each.metric)), Text(_value(each), style="bold"))
    console.print(table)


def _points(series: Iterable[Series], console: Console) -> None:
    """Samples as they are, of a range selector."""
    for each in series:
        console.print(Text(labels_text(each.metric), overflow="fold"))
        for time, value in _all_points(each):
            console.print(
                Text.assemble("  ", (_instant(time), "dim"), "  ", (value, "bold")), overflow="fold"
            )


def _floats(series: Series) -> list[tuple[float, float]]:
    return [(time, float(value)) for time, value in series.values]


def _extremes(series: Series) -> tuple[str, str, str]:
    """Least, greatest and last value."""
    values = [value for _, value in _floats(series)]
    finite = [value for value in values if not math.isnan(value)]
    points = _all_points(series)
    last = points[-1][1] if points else ""
    if not finite:
        return "", "", last
    return to_api(min(finite)), to_api(max(finite)), last


def _summary(series: Sequence[Series], console: Console) -> None:
    """A line for each series of a range."""
    marks = [
        Text(_MARK if position < PLOTTED else "", style=_COLORS[position % len(_COLORS)])
        for position in range(len(series))
    ]
    if console.width < _NARROW:
        for mark, each in zip(marks, series, strict=True):
            least, most, last = _extremes(each)
            line = f"{least} to {most}, last {last}" if least else f"last {last}"
            console.print(Text(labels_text(each.metric), overflow="fold"))
            console.print(Text.assemble(mark or " ", " ", line, overflow="fold"))
        return
    table = _table(("", "series", "points", "min", "max", "last"), right=2)
    for mark, each in zip(marks, series, strict=True):
        count = str(len(each.values) + len(each.histograms))
        table.add_row(mark, Text(labels_text(each.metric)), count, *map(Text, _extremes(each)))
    console.print(table)


def _plot(series: Sequence[Series], question: Question, console: Console) -> None:
    start, end = question.start / 1000, question.end / 1000
    points = [_floats(each) for each in series]
    height = _LOW if console.width < _NARROW else _TALL
    room = max(console.width - 12, 4)
    drawing = drawn(points, start, end, room, height)
    if drawing is None:
        return
    for line in _framed(drawing, room, _instant(start), _instant(end)):
        console.print(line, no_wrap=True, overflow="crop")


def _framed(drawing: Drawing, width: int, start: str, end: str) -> Iterator[Text]:
    """With the values at the left and the times below."""
    last = len(drawing.cells) - 1
    middle = drawing.low / 2 + drawing.high / 2
    beside = {0: drawing.high, last // 2: middle, last: drawing.low}
    for number, cells in enumerate(drawing.cells):
        said = _short(beside[number]) if number in beside else ""
        line = Text.assemble((f"{said:>10} {'┤' if said else '│'}", "dim"))
        for owner, run in groupby(cells, key=lambda cell: cell[1]):
            drawn_here = "".join(character for character, _ in run)
            line.append(drawn_here, style=_COLORS[owner % len(_COLORS)] if owner >= 0 else None)
        yield line
    if len(start) + len(end) + 1 > width:
        start, end = start[11:], end[11:]  # the clock alone
    yield Text(" " * 12 + start + end.rjust(width - len(start)), style="dim")


def _short(value: float) -> str:
    """At most ten characters."""
    return next(
        text for digits in (6, 5, 4, 3, 2, 1) if len(text := to_general(float(f"{value:.{digits}g}"))) <= 10
    )
