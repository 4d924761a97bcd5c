"""Series descriptions of the promqltest format: `name{label="value"} 0+10x4 _ stale {{schema:1 ...}}`."""

import re
from collections.abc import Iterator

import msgspec

from app.engine.histogram import arithmetic
from app.engine.histogram.model import FloatHistogram, HistogramMismatch, ResetHint
from app.engine.model import STALE, Labels, labels_of
from app.engine.promql.errors import ParseError
from app.engine.promql.literals import duration_ms, number
from app.engine.promql.parser import parse_selector

_NUMBER = r"(?:(?i:inf|nan)|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)"
_FLOAT = re.compile(rf"([+-]?{_NUMBER})(?:([+-]{_NUMBER})?x([0-9]+))?")
_GAP = re.compile(r"_(?:x([0-9]+))?")
_DURATION = r"[0-9]+(?:(?:ms|[smhdwy])[0-9]+)*(?:ms|[smhdwy])?"
_START = re.compile(rf"([+-]?{_DURATION})(?:([+-][+-]?{_DURATION})?x([0-9]+))?")
_HISTOGRAM = re.compile(r"\{\{([^{}]*)\}\}(?:(?:([+-])\{\{([^{}]*)\}\})?x([0-9]+))?")
_METRIC = re.compile(
    r"([a-zA-Z_:][\w:]*)?[ \t]*(\{(?!\{)(?:[^\"'`}]|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`)*\})?"
)
_ITEM = re.compile(r"\s+((?:\{\{[^{}]*\}\}|[^\s{])+)(?=\s|$)")
_DESCRIPTOR = re.compile(r"\s*([a-z_]+):(\[[^\]]*\]|[^\s\[]+)(?=\s|$)")
_HINT = "counter_reset_hint"
_NAMES = frozenset(
    "schema sum count z_bucket z_bucket_w buckets offset n_buckets n_offset custom_values".split()
) | {_HINT}


class Point(msgspec.Struct, frozen=True):
    """One place of a sequence.

    :param value: None where nothing stands.
    :param hint: whether a histogram's description says what its hint of a counter reset is.
    """

    value: float | FloatHistogram | None
    hint: bool = False


def series(line: str) -> tuple[Labels, list[Point]]:
    """Labels and points of one line.

    :raises ValueError: what is wrong with it.
    """
    labels, rest = _labels(line)
    return labels, [point for item in _items(rest) for point in _points(item)]


def starts(line: str) -> tuple[Labels, list[int | None]] | None:
    """Labels and start timestamps of a line `name{...}@st -1m _ -30s-1mx2`; None where it is no such line.

    The timestamps are milliseconds from the sample at the same place; None where nothing stands.

    :raises ValueError: what is wrong with it.
    """
    found = _METRIC.match(line)
    assert found is not None  # it matches the empty text, too
    metric, rest = found[0], line[found.end() :]
    if metric != metric.rstrip() or re.match(r"@st(?=\s|$)", rest) is None:
        return None
    labels, rest = _labels(metric + rest.removeprefix("@st"))
    return labels, [offset for item in _items(rest) for offset in _offsets(item)]


def _labels(line: str) -> tuple[Labels, str]:
    """And what follows them."""
    found = _METRIC.match(line)
    assert found is not None  # it matches the empty text, too
    metric = found[0].strip()
    if not metric:
        raise ValueError(f"no series in {line!r}")
    try:
        matchers = parse_selector(metric)
    except ParseError as error:
        raise ValueError(f"{metric!r} is no series: {error.what}") from None
    names = [matcher.name for matcher in matchers]
    if any(matcher.op != "=" for matcher in matchers) or len(set(names)) < len(names):
        raise ValueError(f"{metric!r} is no series: it takes each label once, with =")
    return labels_of({matcher.name: matcher.value for matcher in matchers}), line[len(found[0].rstrip()) :]


def _items(text: str) -> Iterator[str]:
    at = 0
    while at < len(text.rstrip()):
        found = _ITEM.match(text, at)
        if found is None:
            raise ValueError(f"{text[at:].strip()!r} is no sequence of values")
        yield found[1]
        at = found.end()


def _points(item: str) -> Iterator[Point]:
    if (gap := _GAP.fullmatch(item)) is not None:
        yield from [Point(None)] * int(gap[1] or 1)
    elif item == "stale":
        yield Point(STALE)
    elif item.startswith("{{"):
        yield from _histograms(item)
    elif (found := _FLOAT.fullmatch(item)) is not None:
        value, step = _number(found[1]), _number(found[2] or "0")
        for _ in range(int(found[3] or 0) + 1):
            yield Point(value)
            value += step
    else:
        raise ValueError(f"{item!r} is no value")


def _offsets(item: str) -> Iterator[int | None]:
    if (gap := _GAP.fullmatch(item)) is not None:
        yield from [None] * int(gap[1] or 1)
        return
    found = _START.fullmatch(item)
    if found is None:
        raise ValueError(f"{item!r} is no start timestamp")
    offset, step = _signed_ms(found[1]), 0
    if found[2]:
        step = _signed_ms(found[2][1:]) * (-1 if found[2][0] == "-" else 1)
    for _ in range(int(found[3] or 0) + 1):
        yield offset
        offset += step


def _signed_ms(text: str) -> int:
    return duration_ms(text.lstrip("+-")) * (-1 if text.startswith("-") else 1)


def _number(text: str) -> float:
    return number(text.lstrip("+-")) * (-1.0 if text.startswith("-") else 1.0)


def _histograms(item: str) -> Iterator[Point]:
    found = _HISTOGRAM.fullmatch(item)
    if found is None:
        raise ValueError(f"{item!r} is no histogram")
    start, sign, delta, times = found.groups()
    value = histogram(start)
    # As in Prometheus, the histogram that is added decides for the whole sequence.
    hint = _HINT in (delta if delta is not None else start)
    yield Point(value, hint)
    step = histogram(delta) if delta is not None else None
    for _ in range(int(times or 0)):
        if step is not None:
            if value.schema > step.schema:
                raise ValueError(f"{item!r}: schema {step.schema} cannot be added to schema {value.schema}")
            try:
                value = (arithmetic.sub if sign == "-" else arithmetic.add)(value, step)[0]
            except HistogramMismatch as error:
                raise ValueError(f"{item!r}: {error}") from None
        yield Point(value, hint)


def histogram(text: str) -> FloatHistogram:
    """What stands between `{{` and `}}`.

    :raises ValueError: what is wrong with it.
    """
    given = _descriptors(text)

    def integer(name: str) -> int:
        found = given.get(name, "0")
        if re.fullmatch(r"-?[0-9]+", found) is None:
            raise ValueError(f"{name}:{found} is no integer")
        return int(found)

    def one(name: str) -> float:
        return _number(given.get(name, "0"))

    def several(name: str) -> tuple[float, ...]:
        listed = given[name]
        if not (listed.startswith("[") and listed[1:-1].split()):
            raise ValueError(f"{name}:{listed} is no list of numbers")
        return tuple(_number(each) for each in listed[1:-1].split())

    def buckets(prefix: str) -> dict[int, float]:
        first = integer(f"{prefix}offset")
        counts = several(f"{prefix}buckets") if f"{prefix}buckets" in given else ()
        return {first + place: count for place, count in enumerate(counts) if count != 0}

    hint = given.get(_HINT, ResetHint.UNKNOWN.value)
    if hint not in [each.value for each in ResetHint]:
        raise ValueError(f"{hint!r} is no hint of a counter reset")
    return FloatHistogram(
        schema=integer("schema"),
        zero_threshold=one("z_bucket_w"),
        zero_count=one("z_bucket"),
        count=one("count"),
        sum=one("sum"),
        positive=buckets(""),
        negative=buckets("n_"),
        custom_values=several("custom_values") if "custom_values" in given else (),
        reset_hint=ResetHint(hint),
    )


def _descriptors(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    at = 0
    while at < len(text.rstrip()):
        found = _DESCRIPTOR.match(text, at)
        if found is None:
            raise ValueError(f"{text[at:].strip()!r} describes no histogram")
        name, value = found.groups()
        if name not in _NAMES:
            raise ValueError(f"a histogram has no {name!r}")
        if name in given:
            raise ValueError(f"{name!r} is given twice")
        given[name] = value
        at = found.end()
    return given
