import pytest
from rich.cells import cell_len
from rich.text import Text

from app.terminal.chart import PLOTTED
from app.terminal.model import Found, Question
from app.terminal.show import SHOWN, labels_text, show
from tests.unit.terminal.answers import INSTANT, RANGE, answer, matrix, pipe, terminal, vector, written

HISTOGRAM = {"count": "3", "sum": "2.5", "buckets": [[0, "1", "2", "3"]]}


def on_terminal(found: Found, asked: Question, width: int, *, plot: bool = True) -> list[str]:
    console = terminal(width)
    show(found, asked, console, plot=plot)
    return written(console).splitlines()


def in_pipe(found: Found, asked: Question) -> str:
    console = pipe()
    show(found, asked, console, plot=True)
    return written(console)


def braille(lines: list[str]) -> bool:
    return any("\u2801" <= character <= "\u28ff" for line in lines for character in line)


def test_in_a_pipe_a_line_is_a_sample() -> None:
    assert in_pipe(vector("1", "NaN"), INSTANT) == 'up{job="job-0"}\t1\nup{job="job-1"}\tNaN\n'
    assert in_pipe(matrix([1, 2.5]), RANGE) == (
        'up{job="job-0"}\t1700000000\t1\nup{job="job-0"}\t1700000015\t2.5\n'
    )
    assert in_pipe(answer("scalar", [1.5, "2"]), INSTANT) == "2\n"
    assert in_pipe(answer("vector", []), INSTANT) == ""
    mixed = [{"metric": {}, "values": [[2.5, "1"]], "histograms": [[1, HISTOGRAM]]}]
    assert in_pipe(answer("matrix", mixed), RANGE) == "{}\t1\t{count:3, sum:2.5, (1,2]:3}\n{}\t2.5\t1\n"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (vector("1", "123456789.123456"), INSTANT),
        (matrix(range(11), [1e300, float("nan"), -1e300]), RANGE),
        (matrix([1, 2]), INSTANT),
        (answer("vector", [{"metric": {"a": "x" * 300}, "histogram": [1, HISTOGRAM]}]), INSTANT),
        (answer("matrix", [{"metric": {}, "histograms": [[1, HISTOGRAM]]}]), RANGE),
    ],
)
def test_no_line_is_wider_than_the_terminal(width: int, found: Found, asked: Question) -> None:
    lines = on_terminal(found, asked, width)
    assert lines
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("width", [40, 100])
def test_a_range_is_drawn_and_summed_up(width: int) -> None:
    console = terminal(width, color=True)
    show(matrix([1, 5, 3], [2, 2, 2]), RANGE, console, plot=True)
    lines = Text.from_ansi(written(console)).plain.splitlines()
    assert braille(lines)
    text = "\n".join(lines)
    assert 'up{job="job-0"}' in text
    between = "\n" if width == 40 else ", "
    assert f"2023-11-14 22:13:20 to 22:15:50 UTC{between}every 15s" in text
    assert "22:14" in text
    assert ("1 to 5, last 3" if width == 40 else " 1     5      3") in text
    assert not braille(on_terminal(matrix([1, 5, 3]), RANGE, width, plot=False))


def test_there_is_no_colour_where_none_is_wanted() -> None:
    plain, colored = terminal(80), terminal(80, color=True)
    for console in (plain, colored):
        show(matrix([1, 5, 3]), RANGE, console, plot=True)
    assert "\x1b" not in written(plain)
    assert "\x1b[32m" in written(colored)


def test_without_colours_several_series_are_told_apart_by_letters() -> None:
    one, several = (on_terminal(found, RANGE, 80) for found in (matrix([1, 5]), matrix([1, 5], [2, 2])))
    assert braille(one)
    assert any("●" in line for line in one)
    assert not braille(several)
    assert sum(line.startswith(f"  {letter} ") for line in several for letter in "ab") == 2
    field = "".join(line for line in several if "│" in line or "┤" in line)
    assert {"a", "b"} <= set(field)


def test_a_terminal_without_braille_gets_letters() -> None:
    console = terminal(80, encoding="latin-1")
    show(matrix([1, 5, 3]), RANGE, console, plot=True)
    lines = written(console).splitlines()
    assert not braille(lines)
    assert any("a" in line for line in lines if "|" in line)
    assert "job-0" in written(console)
    written(console).encode("latin-1")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.123456789, "0.123457"),
        (1795896614.341, "1795896614"),
        (12345678, "12345678"),
        (1.5e300, "1.5e+300"),
        (float("inf"), "+Inf"),
    ],
)
def test_a_summary_has_what_people_read(value: float, shown: str) -> None:
    (line,) = [line for line in on_terminal(matrix([value]), RANGE, 120) if "job-0" in line]
    assert line.split()[-3:] == [shown] * 3


def test_the_last_of_a_series_can_be_a_histogram() -> None:
    mixed = answer("matrix", [{"metric": {}, "values": [[1, "7"]], "histograms": [[2, HISTOGRAM]]}])
    assert "7     7   count 3, sum 2.5" in "\n".join(on_terminal(mixed, RANGE, 100))
    whole = answer("vector", [{"metric": {}, "histogram": [1, HISTOGRAM]}])
    assert "{count:3, sum:2.5, (1,2]:3}" in "\n".join(on_terminal(whole, INSTANT, 100))


def test_many_series_are_cut_on_a_terminal_only() -> None:
    many = vector(*["1"] * (SHOWN + 5))
    lines = on_terminal(many, INSTANT, 100)
    assert "and 5 more series" in lines[-1]
    assert len(in_pipe(many, INSTANT).splitlines()) == SHOWN + 5
    drawn = on_terminal(matrix(*[[1, 2]] * (PLOTTED + 2)), RANGE, 100)
    assert sum(line.startswith(f"  {letter} ") for line in drawn for letter in "abcdefghijkl") == PLOTTED
    assert any("the first 10 of 12 series are drawn" in line for line in drawn)


def test_nothing_is_said_to_be_nothing() -> None:
    assert on_terminal(answer("vector", []), INSTANT, 40) == ["no series"]
    assert on_terminal(answer("string", [1, "a\x1b[2J"]), INSTANT, 40) == ["a\\x1b[2J"]


def test_samples_of_a_range_selector_stand_by_themselves() -> None:
    lines = on_terminal(matrix([1, 2]), INSTANT, 60)
    assert lines == ['up{job="job-0"}', "  2023-11-14 22:13:20  1", "  2023-11-14 22:13:35  2"]


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        ({}, "{}"),
        ({"__name__": "up"}, "up"),
        ({"__name__": "a:b", "x": "1"}, 'a:b{x="1"}'),
        ({"__name__": "a.b", "x.y": 'q"'}, '{"a.b", "x.y"="q\\""}'),
        ({"a": "\x1b[31m\u202e"}, None),
    ],
)
def test_labels_are_as_they_could_be_asked_for(metric: dict[str, str], text: str | None) -> None:
    found = labels_text(metric)
    assert text is None or found == text
    assert "\x1b" not in found
    assert "\u202e" not in found
