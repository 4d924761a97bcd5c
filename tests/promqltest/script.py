"""Files of the promqltest format as commands.

The format is Prometheus's: blank lines end blocks, `clear`, `load` and `eval` are the commands.
"""

import re
from pathlib import Path

import msgspec

from app.engine.model import Labels
from app.engine.promql.literals import duration_ms
from app.engine.promql.quoting import unquoted
from tests.promqltest.description import Point, series

_LOAD = re.compile(r"load(?:_(with_nhcb))?\s+(\S+)$")
_INSTANT = re.compile(r"eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$")
_RANGE = re.compile(r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$")
_EXPECT = re.compile(r"expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$")
_EXPECT_RANGE = re.compile(r"expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$")
Lines = list[str]


class Load(msgspec.Struct, frozen=True):
    """:param interval: milliseconds between points; the first one is at the epoch."""

    interval: int
    series: dict[Labels, list[Point]]
    with_nhcb: bool


class Clear(msgspec.Struct, frozen=True):
    pass


class Expect(msgspec.Struct, frozen=True):
    """:param kind: ``fail``, ``warn``, ``info``, ``no_warn``, ``no_info`` or ``ordered``."""

    kind: str
    text: str = ""
    regex: bool = True

    def matches(self, text: str) -> bool:
        return re.search(self.text, text) is not None if self.regex else self.text == text


class Eval(msgspec.Struct):
    """One evaluation and what is expected of it; times in milliseconds since the epoch, `step` 0: an instant.

    :param range: of a range vector as result of an instant query: start, end and step.
    """

    line: int
    expr: str
    start: int
    end: int
    step: int
    expects: list[Expect]
    rows: dict[Labels, list[Point]]
    scalar: float | None = None
    string: str | None = None
    range: tuple[int, int, int] | None = None

    def expected(self, kind: str) -> list[Expect]:
        return [each for each in self.expects if each.kind == kind]


Command = Load | Clear | Eval


def commands(path: Path) -> list[Command]:
    """All commands of a file, in order.

    :raises ValueError: what is wrong, with file and line.
    """
    lines = [line.strip() for line in path.read_text().splitlines()]
    lines = ["" if line.startswith("#") else line for line in lines]
    found: list[Command] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        block = [line]
        begin, at = at, at + 1
        if not line:
            continue
        try:
            if line.lower() == "clear":
                found.append(Clear())
                continue
            while at < len(lines) and lines[at]:
                if _stops(block):
                    break
                block.append(lines[at])
                at += 1
            found.append(_load(block) if line.startswith("load") else _eval(block, begin + 1))
        except ValueError as error:
            raise ValueError(f"{path}:{begin + 1}: {error}") from None
    return found


def _stops(block: Lines) -> bool:
    """A number as expectation ends an evaluation even without a blank line."""
    return block[0].startswith("eval") and len(block) > 1 and _as_number(block[-1]) is not None


def _as_number(text: str) -> float | None:
    try:
        return float(text.replace("Inf", "inf").replace("NaN", "nan"))
    except ValueError:
        try:
            return float(int(text, 0))
        except ValueError:
            return None


def _load(block: Lines) -> Load:
    found = _LOAD.match(block[0])
    if found is None:
        raise ValueError(f"not a load command: {block[0]}")
    rows = dict(series(line) for line in block[1:])
    return Load(duration_ms(found[2]), rows, found[1] is not None)


def _eval(block: Lines, line: int) -> Eval:
    instant, range_ = _INSTANT.match(block[0]), _RANGE.match(block[0])
    if instant is not None:
        at = duration_ms(instant[2])
        found = Eval(line, instant[3], at, at, 0, [], {})
        modifier = instant[1]
    elif range_ is not None:
        start, end, step = (duration_ms(range_[place]) for place in (2, 3, 4))
        found = Eval(line, range_[5], start, end, step, [], {})
        modifier = range_[1]
    else:
        raise ValueError(f"not a command: {block[0]}")
    if modifier is not None:
        found.expects.append(Expect(modifier))
    for text in block[1:]:
        _expectation(found, text)
    return found


def _expectation(found: Eval, text: str) -> None:
    if text.startswith("expected_fail_message"):
        found.expects.append(Expect("fail", text.removeprefix("expected_fail_message").strip(), False))
    elif text.startswith("expected_fail_regexp"):
        found.expects.append(Expect("fail", text.removeprefix("expected_fail_regexp").strip()))
    elif text.startswith("expect range vector"):
        parts = _EXPECT_RANGE.match(text)
        if parts is None:
            raise ValueError(f"not an expected range: {text}")
        found.range = duration_ms(parts[1]), duration_ms(parts[2]), duration_ms(parts[3])
    elif text.startswith("expect string"):
        found.string = unquoted(text.removeprefix("expect string").strip())
    elif text.split(" ")[0] == "expect":
        parts = _EXPECT.match(text)
        if parts is None:
            raise ValueError(f"not an expectation: {text}")
        found.expects.append(Expect(parts[1], (parts[3] or "").strip(), parts[2] != "msg"))
    elif (value := _as_number(text)) is not None:
        found.scalar = value
    else:
        labels, points = series(text)
        found.rows[labels] = points
