"""Files as commands, and the line that an error names."""

from pathlib import Path

import pytest

from tests.promqltest.description import Point
from tests.promqltest.script import Clear, Command, Eval, Expect, Load, ScriptError, commands


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.test"


def read(file: Path, text: str) -> list[Command]:
    file.write_text(text)
    return commands(file)


def evaluation(file: Path, text: str) -> Eval:
    (found,) = read(file, text)
    assert isinstance(found, Eval)
    return found


def test_all_commands_in_order(file: Path) -> None:
    found = read(
        file,
        "# what it is about\n\nload 1m30s\n  a 1 2\n\tb _ 3\n# a comment ends a command\nclear\n"
        "load_with_nhcb 5s\n\neval instant at 2m a + b\n  {} 5\n\nclear\n",
    )
    assert [type(each) for each in found] == [Load, Clear, Load, Eval, Clear]
    first, last = found[0], found[2]
    assert isinstance(first, Load)
    assert isinstance(last, Load)
    assert first.interval == 90_000
    assert not first.with_nhcb
    assert first.series == {
        (("__name__", "a"),): [Point(1.0), Point(2.0)],
        (("__name__", "b"),): [Point(None), Point(3.0)],
    }
    assert (last.interval, last.with_nhcb, dict(last.series)) == (5_000, True, {})


def test_start_timestamps_belong_to_the_samples_below(file: Path) -> None:
    (found,) = read(file, 'load 1m\n  a@st -30s _\n  a 1 2\n  b 1\n  c{d="e"}@st 0\n  c{d="e"} 1\n')
    assert isinstance(found, Load)
    assert found.starts == {(("__name__", "a"),): [-30_000, None], (("__name__", "c"), ("d", "e")): [0]}
    assert len(found.series) == 3


def test_an_instant(file: Path) -> None:
    found = evaluation(file, '\n\neval instant at 1h sum by (a) (b)\n  {a="y"} 2\n  {a="x"} 1\n')
    assert (found.line, found.expr) == (3, "sum by (a) (b)")
    assert (found.start, found.end, found.step) == (3_600_000, 3_600_000, 0)
    assert list(found.rows) == [(("a", "y"),), (("a", "x"),)]
    assert (found.scalar, found.string, found.range, found.expects) == (None, None, None, ())


def test_a_range(file: Path) -> None:
    found = evaluation(file, "eval range from 10s to 1m step 5s rate(a[1m]) @ 5\n  {} 1 _ 2\n")
    assert found.expr == "rate(a[1m]) @ 5"
    assert (found.start, found.end, found.step) == (10_000, 60_000, 5_000)
    assert found.rows == {(): [Point(1.0), Point(None), Point(2.0)]}


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5.0), ("-0x1F", -31.0), ("+Inf", float("inf")), ("-1e3", -1000.0), ("017", 15.0)],
)
def test_a_number_ends_an_evaluation(file: Path, text: str, value: float) -> None:
    found = read(file, f"eval instant at 0 a\n  {text}\nclear\n")
    assert isinstance(found[0], Eval)
    assert found[0].scalar == value
    assert isinstance(found[1], Clear)


@pytest.mark.parametrize(
    ("line", "expect"),
    [
        ("expect fail", Expect("fail")),
        ("expect fail msg: it broke", Expect("fail", "it broke", regex=False)),
        ("expect warn regex: a (b|c)", Expect("warn", "a (b|c)")),
        ("expect info msg:told", Expect("info", "told", regex=False)),
        ("expect no_warn", Expect("no_warn")),
        ("expect no_info", Expect("no_info")),
        ("expect ordered", Expect("ordered")),
    ],
)
def test_expectations(file: Path, line: str, expect: Expect) -> None:
    assert evaluation(file, f"eval instant at 0 a\n  {line}\n").expects == (expect,)


@pytest.mark.parametrize("kind", ["fail", "warn", "info", "ordered"])
def test_expectations_before_there_were_lines_for_them(file: Path, kind: str) -> None:
    assert evaluation(file, f"eval_{kind} instant at 0 a\n").expects == (Expect(kind),)


def test_failures_before_there_were_lines_for_them(file: Path) -> None:
    found = read(
        file,
        "eval_fail instant at 0 a\n  expected_fail_message it broke\n"
        "eval_fail range from 0 to 1m step 1m a\n  expected_fail_regexp it .*\nclear\n",
    )
    assert isinstance(found[0], Eval)
    assert isinstance(found[1], Eval)
    assert found[0].expects == (Expect("fail"), Expect("fail", "it broke", regex=False))
    assert found[1].expects == (Expect("fail"), Expect("fail", "it .*"))


@pytest.mark.parametrize(
    ("literal", "value"), [('"a \\"b\\""', 'a "b"'), ("`a \\n`", "a \\n"), ('""', ""), ('"a\\nb"', "a\nb")]
)
def test_strings(file: Path, literal: str, value: str) -> None:
    assert evaluation(file, f"eval instant at 0 x\n  expect string {literal}\n").string == value


def test_a_range_vector_is_evaluated_at_its_end(file: Path) -> None:
    found = evaluation(
        file, "eval instant at 5m a[1m]\n  expect range vector from 10s to 1m step 10s\n  a 1 2 3\n"
    )
    assert found.range == (10_000, 60_000, 10_000)
    assert (found.start, found.end, found.step) == (60_000, 60_000, 0)


def test_a_series_may_be_named_expect(file: Path) -> None:
    assert list(evaluation(file, "eval instant at 0 x\n  expect{} 1\n").rows) == [(("__name__", "expect"),)]


@pytest.mark.parametrize(
    ("expect", "text", "matches"),
    [
        (Expect("fail"), "anything", True),
        (Expect("fail", "b+"), "abbc", True),
        (Expect("fail", "^b"), "ab", False),
        (Expect("fail", r"\pL{2}"), "1äö", True),
        (Expect("fail", "a.c", regex=False), "abc", False),
        (Expect("fail", "abc", regex=False), "abc", True),
        (Expect("fail", "abc", regex=False), "abcd", False),
    ],
)
def test_matching(expect: Expect, text: str, matches: bool) -> None:
    assert expect.matches(text) is matches


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("\nfrobnicate\n", 2, "no command"),
        ("load\n", 1, "no load command"),
        ("load soon\n  a 1\n", 1, "not a valid duration"),
        ("load 1m\n  a 1\n  b one\n", 3, "'one' is no value"),
        ("load 1m\n  a@st 0\n", 2, "followed by no samples"),
        ("load 1m\n  a@st 0\n  a@st 0\n  a 1\n", 3, "followed by no samples"),
        ("load 1m\n  a@st 0\n  b 1\n", 3, "about another series"),
        ("load 1m\n  a@st 0 0\n  a 1\n", 3, "2 start timestamps for 1 points"),
        ("eval now a\n", 1, "no eval command"),
        ("eval instant a\n", 1, "no eval command"),
        ("clear\neval instant at noon a\n", 2, "not a valid duration"),
        ("eval range from 2m to 1m step 1m a\n", 1, "the end 1m is before the start 2m"),
        ("eval range from 0 to 1m step 0 a\n", 1, "the step is zero"),
        ("eval instant at 0 a\n  expect miracles\n", 2, "no expectation"),
        ("eval instant at 0 a\n  expect ordered msg: b\n", 2, "no expectation"),
        ("eval instant at 0 a\n  expect warn regex: (\n", 2, "no regular expression"),
        ("eval instant at 0 a\n  expect warn\n  expect no_warn\n", 3, "no_warn contradicts warn"),
        ("eval instant at 0 a\n  expect no_info\n  expect info\n", 3, "info contradicts no_info"),
        ("eval instant at 0 a\n  expect fail\n  expect fail\n", 3, "a second expect fail"),
        ("eval instant at 0 a\n  expect string north\n", 2, "no quoted string"),
        ("eval instant at 0 a\n  expect string\n", 2, "no quoted string"),
        ("eval instant at 0 a\n  expect range vector to 1m\n", 2, "no range"),
        (
            "eval range from 0 to 1m step 1m a\n  expect range vector from 0 to 1m step 1m\n",
            2,
            "only for instant",
        ),
        ('eval range from 0 to 1m step 1m a\n  expect string "a"\n', 2, "only for instant"),
        ("eval instant at 0 a\n  a 1 2\n", 2, "one value a series"),
        ("eval instant at 0 a\n  a\n", 2, "no value"),
        ("eval instant at 0 a\n  a 1\n  a 1\n", 3, "expected already"),
        ("eval instant at 0 a\n  expected_fail_message b\n", 2, "'b' is no value"),
    ],
)
def test_errors_name_the_line(file: Path, text: str, line: int, what: str) -> None:
    with pytest.raises(ScriptError) as caught:
        read(file, text)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert what in str(caught.value)
