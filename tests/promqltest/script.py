"""Files of the promqltest format as commands.

The format is Prometheus's: `clear`, `load` and `eval` are the commands, and a line that is blank or a comment
ends one. Times are durations since the epoch.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import re2

from app.engine.model import Labels
from app.engine.promql.literals import duration_ms, number
from app.engine.promql.quoting import unquoted
from tests.promqltest.description import Point, series, starts

_LOAD = re.compile(r"load(?:_(with_nhcb))?\s+(\S+)$")
_INSTANT = re.compile(r"eval(?:_(fail|warn|ordered|info))?\s+instant\s+at\s+(.+?)\s+(.+)$")
_RANGE = re.compile(r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$")
_EXPECT = re.compile(r"expect\s+(?:(ordered|no_warn|no_info)|(fail|warn|info)(?:\s+(regex|msg):(.+))?)$")
_EXPECT_RANGE = re.compile(r"expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|`[^`]*`')


class ScriptError(ValueError):
    """What is wrong with a file, after its path and the line: ``operators.test:12: ...``."""


class Load(msgspec.Struct, frozen=True):
    """
    :param interval: milliseconds between points; the first one is at the epoch.
    :param with_nhcb: whether classic histograms are loaded as native ones, too.
    :param starts: start timestamps of points, milliseconds from the point's own time.
    """

    interval: int
    series: Mapping[Labels, Sequence[Point]]
    with_nhcb: bool = False
    starts: Mapping[Labels, Sequence[int | None]] = {}


class Clear(msgspec.Struct, frozen=True):
    """All that is loaded goes."""


class Expect(msgspec.Struct, frozen=True):
    """
    :param kind: ``fail``, ``warn``, ``info``, ``no_warn``, ``no_info`` or ``ordered``.
    :param text: an expression of RE2, found anywhere; without `regex` the whole text.
    """

    kind: str
    text: str = ""
    regex: bool = True

    def matches(self, text: str) -> bool:
        return re2.search(self.text, text) is not None if self.regex else self.text == text


class Eval(msgspec.Struct, frozen=True):
    """One evaluation and what is expected of it; times in milliseconds since the epoch, `step` 0: an instant.

    :param rows: in the order in which they are written, which `ordered` is about.
    :param range: of a range vector as result of an instant query: start, end and step.
    """

    line: int
    expr: str
    start: int
    end: int
    step: int
    expects: Sequence[Expect] = ()
    rows: Mapping[Labels, Sequence[Point]] = {}
    scalar: float | None = None
    string: str | None = None
    range: tuple[int, int, int] | None = None

    def expected(self, kind: str) -> list[Expect]:
        return [each for each in self.expects if each.kind == kind]


Command = Load | Clear | Eval


def commands(path: Path) -> list[Command]:
    """All commands of a file, in order.

    :raises ScriptError: what is wrong, with file and line.
    """
    lines = [line.strip() for line in path.read_text().split("\n")]
    reading = _Reading(["" if line.startswith("#") else line for line in lines])
    found: list[Command] = []
    try:
        while (line := reading.next_command()) is not None:
            found.append(_command(line, reading))
    except ValueError as error:
        raise ScriptError(f"{path}:{reading.line}: {error}") from None
    return found


class _Reading:
    """Mutable: the line that was read last, counted from 1."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self.line = 0

    def next_command(self) -> str | None:
        """The next line that is not blank; None at the end."""
        while self.line < len(self._lines):
            self.line += 1
            if text := self._lines[self.line - 1]:
                return text
        return None

    def next_of_block(self) -> str | None:
        """The next line, unless it is blank."""
        if self.line == len(self._lines) or not self._lines[self.line]:
            return None
        self.line += 1
        return self._lines[self.line - 1]


def _command(line: str, reading: _Reading) -> Command:
    word = line.split()[0].lower()
    if word == "clear":
        return Clear()
    if word.startswith("load"):
        return _load(line, reading)
    if word.startswith("eval"):
        return _eval(line, reading)
    raise ValueError(f"no command: {line}")


def _load(line: str, reading: _Reading) -> Load:
    found = _LOAD.match(line)
    if found is None:
        raise ValueError(f"no load command, which is load[_with_nhcb] <step>: {line}")
    interval = duration_ms(found[2])
    rows: dict[Labels, list[Point]] = {}
    offsets: dict[Labels, list[int | None]] = {}
    pending: tuple[Labels, list[int | None]] | None = None
    while (text := reading.next_of_block()) is not None:
        if (started := starts(text)) is not None:
            if pending is not None:
                raise ValueError("the @st line before is followed by no samples")
            pending = started
            continue
        labels, points = series(text)
        if pending is not None:
            if pending[0] != labels:
                raise ValueError("the @st line before is about another series")
            if len(pending[1]) != len(points):
                raise ValueError(f"{len(pending[1])} start timestamps for {len(points)} points")
            offsets[labels] = pending[1]
            pending = None
        rows[labels] = points
    if pending is not None:
        raise ValueError("the @st line is followed by no samples")
    return Load(interval, rows, found[1] is not None, offsets)


def _eval(line: str, reading: _Reading) -> Eval:
    begin = reading.line
    if (instant := _INSTANT.match(line)) is not None:
        modifier, at, expr = instant.groups()
        start = end = duration_ms(at)
        step = 0
    elif (range_ := _RANGE.match(line)) is not None:
        modifier, expr = range_[1], range_[5]
        start, end, step = _span(range_[2], range_[3], range_[4])
    else:
        raise ValueError(
            "no eval command, which is eval instant at <time> <query> "
            f"or eval range from <start> to <end> step <step> <query>: {line}"
        )
    expected = _Expected(modifier, instant=not step)
    while (text := reading.next_of_block()) is not None:
        if expected.ends_with(text):
            break
    if expected.range is not None:
        start = end = expected.range[1]
    return Eval(
        begin,
        expr,
        start,
        end,
        step,
        tuple(expected.expects),
        expected.rows,
        expected.scalar,
        expected.string,
        expected.range,
    )


def _span(start: str, end: str, step: str) -> tuple[int, int, int]:
    found = duration_ms(start), duration_ms(end), duration_ms(step)
    if found[1] < found[0]:
        raise ValueError(f"the end {end} is before the start {start}")
    if not found[2]:
        raise ValueError("the step is zero")
    return found


class _Expected:
    """Mutable: what the lines below an `eval` have said so far."""

    def __init__(self, modifier: str | None, *, instant: bool) -> None:
        self._instant = instant
        self._failing = modifier == "fail"
        self.expects = [] if modifier is None else [Expect(modifier)]
        self.rows: dict[Labels, list[Point]] = {}
        self.scalar: float | None = None
        self.string: str | None = None
        self.range: tuple[int, int, int] | None = None

    def ends_with(self, text: str) -> bool:
        """Take a line; whether what follows is another command, even without a blank line."""
        word = text.split()[0]
        if self._failing and word in ("expected_fail_message", "expected_fail_regexp"):
            regex = word == "expected_fail_regexp"
            self.expects.append(_expect("fail", text.removeprefix(word), regex=regex))
            return True
        if text.startswith("expect range vector"):
            self._only_instant(text)
            if (parts := _EXPECT_RANGE.match(text)) is None:
                raise ValueError(f"no range, which is from <start> to <end> step <step>: {text}")
            self.range = _span(parts[1], parts[2], parts[3])
        elif text.startswith("expect string"):
            self._only_instant(text)
            literal = text.removeprefix("expect string").strip()
            if _STRING.fullmatch(literal) is None:
                raise ValueError(f"{literal!r} is no quoted string")
            self.string = unquoted(literal)
        elif word == "expect":
            self._expect(text)
        elif (value := _as_number(text)) is not None:
            self.scalar = value
            return True
        else:
            self._row(text)
        return False

    def _only_instant(self, text: str) -> None:
        if not self._instant:
            raise ValueError(f"only for instant evaluations: {text}")

    def _expect(self, text: str) -> None:
        parts = _EXPECT.match(text)
        if parts is None:
            raise ValueError(f"no expectation: {text}")
        plain, kind, how, what = parts.groups()
        kind = plain or kind
        opposite = {"warn": "no_warn", "info": "no_info", "no_warn": "warn", "no_info": "info"}.get(kind)
        given = {each.kind for each in self.expects}
        if opposite in given:
            raise ValueError(f"{kind} contradicts {opposite}")
        if kind == "fail" and kind in given and not self._failing:
            raise ValueError("a second expect fail")
        self.expects.append(_expect(kind, what or "", regex=how != "msg"))

    def _row(self, text: str) -> None:
        labels, points = series(text)
        if not points:
            raise ValueError(f"no value: {text}")
        if len(points) > 1 and self._instant and self.range is None:
            raise ValueError(
                "an instant evaluation has one value a series, unless expect range vector is given"
            )
        if labels in self.rows:
            raise ValueError(f"a series that is expected already: {text}")
        self.rows[labels] = points


def _expect(kind: str, text: str, *, regex: bool) -> Expect:
    text = text.strip()
    if regex:
        options = re2.Options()
        options.log_errors = False
        try:
            re2.compile(text, options)
        except re2.error as error:
            raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return Expect(kind, text, regex)


def _as_number(text: str) -> float | None:
    unsigned = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    try:
        return number(unsigned) * (-1.0 if text.startswith("-") else 1.0)
    except ValueError:
        return None
