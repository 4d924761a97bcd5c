import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from app.terminal.said import marked, show_failure, show_said
from tests.unit.terminal.answers import terminal, written

FAULT = "{}:{}: parse error: unexpected end"


def test_the_place_is_under_the_query() -> None:
    assert marked(FAULT.format(1, 6), "rate(up[5m])", 80) == ["  rate(up[5m])", "       ^"]
    assert marked("not a counter (1:6)", "rate(up[5m])", 80) == ["  rate(up[5m])", "       ^"]
    assert marked('invalid parameter "query": 1:1: parse error: x', "up", 80) == ["  up", "  ^"]


def test_of_several_lines_the_one_that_is_meant() -> None:
    assert marked(FAULT.format(2, 3), "sum(\n  up\n", 80) == ["    up", "    ^"]


@pytest.mark.parametrize(
    "text", ["no place", "10.0.0.1:80 is down", FAULT.format(9, 1), FAULT.format(1, 99), FAULT.format(0, 0)]
)
def test_without_a_place_nothing_is_marked(text: str) -> None:
    assert marked(text, "up", 80) == []


@given(st.text("ab世é ", min_size=1, max_size=200), st.integers(0, 200), st.integers(10, 60))
def test_a_long_line_is_cut_around_the_place(query: str, at: int, width: int) -> None:
    at = min(at, len(query))
    line, mark = marked(FAULT.format(1, at + 1), query, width)
    assert max(cell_len(line), cell_len(mark)) <= width + 1
    shown = line.encode().decode()
    if at < len(query) and query[at] != " ":
        place = len(mark) - 1
        cells, under = 0, ""
        for character in shown:
            if cells == place:
                under = character
            cells += cell_len(character)
        assert under in (query[at], "…")


def test_what_is_said_tells_its_kind() -> None:
    console = terminal(40)
    show_said(
        ["PromQL warning: mixed (1:1)", "PromQL info: not a counter", "eu is \x1b[2Jmissing"], "up", console
    )
    show_failure("many-to-many", "up", console)
    assert written(console).splitlines() == [
        "warning: mixed (1:1)",
        "  up",
        "  ^",
        "info: not a counter",
        "warning: eu is \\x1b[2Jmissing",
        "error: many-to-many",
    ]
