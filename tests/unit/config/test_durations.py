import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("500ms", 0.5),
        ("15m", 900.0),
        ("1h30m", 5400.0),
        ("1d", 86_400.0),
        ("1w", 604_800.0),
        ("1y", 31_536_000.0),
        ("1h0m1s", 3601.0),
    ],
)
def test_reads_what_prometheus_writes(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "m", "1m1h", "1.5h", "1ms1s", "-1m", "1M", "1m 1s", "1m1m", "１m"])
def test_refuses_everything_else(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_refuses_what_go_cannot_hold() -> None:
    assert parse_duration("292y") > 0
    with pytest.raises(ValueError, match="out of range"):
        parse_duration("300y")


@given(st.integers(0, 10**12))
def test_what_is_written_reads_back(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@given(st.text(max_size=12))
def test_never_raises_anything_else(text: str) -> None:
    try:
        assert parse_duration(text) >= 0
    except ValueError as error:
        assert "duration" in str(error)


def test_thousands_of_digits_are_refused_too() -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration("9" * 5000 + "y")
