import math

from hypothesis import given
from hypothesis import strategies as st

from app.terminal.plot import drawn


def picture(values: list[float], width: int = 4, height: int = 2) -> list[str]:
    drawing = drawn([list(enumerate(values))], 0, len(values) - 1, width, height)
    assert drawing is not None
    return ["".join(character for character, _ in line) for line in drawing.cells]


def test_a_line_rises_from_the_lower_left_to_the_upper_right() -> None:
    assert picture([0, 1, 2, 3, 4, 5, 6, 7]) == ["  ⡠⠊", "⡠⠊  "]


def test_what_does_not_change_is_in_the_middle() -> None:
    drawing = drawn([[(0, 5.0), (1, 5.0)]], 0, 1, 2, 3)
    assert drawing is not None
    assert drawing.low < 5 < drawing.high
    assert [any(owner >= 0 for _, owner in line) for line in drawing.cells] == [False, True, False]


def test_a_gap_is_not_drawn_over() -> None:
    points = [(float(time), 1.0) for time in range(20) if not 5 < time < 15]
    drawing = drawn([points], 0, 19, 10, 1)
    assert drawing is not None
    assert any(owner == -1 for _, owner in drawing.cells[0])


def test_who_is_drawn_last_owns_the_cell() -> None:
    drawing = drawn([[(0, 0.0), (1, 1.0)], [(0, 0.0)]], 0, 1, 2, 1)
    assert drawing is not None
    assert [owner for _, owner in drawing.cells[0]] == [1, 0]


def test_nothing_finite_is_no_drawing() -> None:
    assert drawn([[(0, math.nan), (1, math.inf)], []], 0, 1, 4, 4) is None


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 10**6), st.floats()), max_size=20).map(sorted), max_size=3),
    st.integers(1, 30),
    st.integers(1, 10),
)
def test_every_answer_fits(series: list[list[tuple[float, float]]], width: int, height: int) -> None:
    drawing = drawn(series, 0, 10**6, width, height)
    if drawing is not None:
        assert len(drawing.cells) == height
        assert {len(line) for line in drawing.cells} == {width}
