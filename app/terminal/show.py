"""An answer on a terminal as tables and a plot, in a pipe as lines with tabs."""

import math
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.engine.histogram.floats import to_api
from app.engine.promql.quoting import quoted
from app.terminal.axes import utc
from app.terminal.chart import chart, pen
from app.terminal.model import Found, Histogram, Question, Series
from app.terminal.said import harmless

SHOWN = 500
"""Series on a terminal."""
_NARROW = 60
"""Columns below which a table would be cut; then each series gets a paragraph."""
_BOUNDS = {0: "(]", 1: "[)", 2: "()", 3: "[]"}
"""Of buckets, by their rule."""
_DIGITS = 6
"""Of the values in a summary, which is for people: pipes and --output=json have all."""


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
        if plot:
            for row in chart([_floats(each) for each in found.series], question, console):
                console.print(row, no_wrap=True, overflow="ellipsis")
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
    """All of it, as Prometheus writes it: ``{count:3, sum:2.5, (1,2]:3}``."""
    parts = [f"count:{histogram.count}", f"sum:{histogram.sum}"]
    for rule, low, high, count in histogram.buckets:
        bounds = _BOUNDS.get(rule, "[]")
        parts.append(f"{bounds[0]}{low},{high}{bounds[1]}:{count}")
    return harmless(f"{{{', '.join(parts)}}}")


def _seconds(time: float) -> str:
    return f"{time:.3f}".rstrip("0").rstrip(".")


def _instant(time: float) -> str:
    """For people: UTC, with a fraction where there is one."""
    moment = utc(time)
    if moment is None:
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


def _rounded(value: float) -> str:
    """All digits before the point, and so many behind it that there are `_DIGITS`."""
    if 10 ** (_DIGITS - 1) <= abs(value) < 1e15:
        return to_api(float(round(value)))
    return to_api(float(f"{value:.{_DIGITS}g}"))


def _extremes(series: Series) -> tuple[str, str, str]:
    """Least, greatest and last value."""
    floats = _floats(series)
    known = [value for _, value in floats if not math.isnan(value)]
    last = _rounded(floats[-1][1]) if floats else ""
    if series.histograms and (not floats or series.histograms[-1][0] > floats[-1][0]):
        histogram = series.histograms[-1][1]
        last = harmless(f"count {histogram.count}, sum {histogram.sum}")
    if not known:
        return "", "", last
    return _rounded(min(known)), _rounded(max(known)), last


def _summary(series: Sequence[Series], console: Console) -> None:
    """A line for each series of a range."""
    marks = list(map(pen(console, len(series)).mark, range(len(series))))
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
