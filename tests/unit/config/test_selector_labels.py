"""Selector labels, quoted as Go quotes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config.selector_labels import parse_selector_label


@pytest.mark.parametrize(
    ("quoted", "value"),
    [
        ('"eu"', "eu"),
        (r'"a\"b\\c\n"', 'a"b\\c\n'),
        (r'"\xc3\xa9\303\251\u00e9\U0001F600"', "ééé\U0001f600"),
        ("`a\\n`", "a\\n"),
        ('"a=b"', "a=b"),
    ],
)
def test_reads_what_go_quotes(quoted: str, value: str) -> None:
    assert parse_selector_label(f"realm={quoted}") == ("realm", value)


@pytest.mark.parametrize(
    "text",
    ["a", "a=b", 'a="b', '1a="b"', 'a="b"c"', 'a=""', r'a="\q"', r'a="\xff"', r'a="\ud800"', r'a="\777"'],
)
def test_refuses_the_rest(text: str) -> None:
    with pytest.raises(ValueError):
        parse_selector_label(text)


@given(st.text(alphabet='abx"\\`=un0178é', max_size=20))
def test_never_raises_anything_else(text: str) -> None:
    try:
        parse_selector_label(f'name="{text}"')
    except ValueError as error:
        assert str(error)
