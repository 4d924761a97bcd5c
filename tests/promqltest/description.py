"""Series descriptions of the promqltest format: `name{label="value"} 0+10x4 _ stale {{schema:1 ...}}`."""

import math
import re
from collections.abc import Iterator

import msgspec

from app.engine.histogram import arithmetic
from app.engine.histogram.model import FloatHistogram, ResetHint
from app.engine.model import METRIC_NAME, STALE, Labels, labels_of
from app.engine.promql.literals import duration_seconds, number
from app.engine.promql.parser import parse_selector

_NUMBER = r"[+-]?(?:Inf|inf|NaN|nan|[0-9.]+(?:[eE][+-]?[0-9]+)?(?:ms|[smhdwy])?)"
_FLOAT = re.compile(rf"({_NUMBER})(?:([+-])({_NUMBER}))?(?:x([0-9]+))?$")
_HISTOGRAM = re.compile(r"\{\{(.*?)\}\}(?:([+-])\{\{(.*?)\}\})?(?:x([0-9]+))?$")
_METRIC = re.compile(
    r"([a-zA-Z_:][\w:]*)?[ ]*(\{(?!\{)(?:[^\"'`}]|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`)*\})?"
)
_DESCRIPTOR = re.compile(r"([a-z_]+):(\[[^\]]*\]|\S+)")
_ITEM = re.compile(r"(?:\{\{.*?\}\}[+-]?)+(?:x[0-9]+)?|\S+")


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
    found = _METRIC.match(line)
    assert found is not None  # it matches the empty text, too
    metric, end = found[0].strip(), found.end()
    if not metric:
        raise ValueError(f"no series in {line!r}")
    matchers = parse_selector(metric)
    labels = labels_of({matcher.name: matcher.value for matcher in matchers})
    points: list[Point] = []
    for item in _ITEM.findall(line[end:]):
        points.extend(_points(item))
    return labels, points


def _points(item: str) -> Iterator[Point]:
    if item.startswith("_"):
        yield from [Point(None)] * (int(item[2:]) if item[1:2] == "x" else 1)
        return
    if item.startswith("stale"):
        yield from [Point(STALE)] * (int(item[6:]) + 1 if item[5:6] == "x" else 1)
        return
    if item.startswith("{{"):
        yield from _histograms(item)
        return
    found = _FLOAT.match(item)
    if found is None:
        raise ValueError(f"{item!r} is no value")
    start, sign, delta, times = found.groups()
    value = _number(start)
    step = 0.0 if delta is None else _number(delta) * (-1 if sign == "-" else 1)
    for _ in range(int(times or 0) + 1):
        yield Point(value)
        value += step


def _number(text: str) -> float:
    sign = -1.0 if text.startswith("-") else 1.0
    text = text.lstrip("+-")
    if text[-1] in "smhdwy" and text[-1].isalpha() and text.lower() not in ("inf", "nan"):
        return sign * duration_seconds(text)
    return sign * number(text)


def _histograms(item: str) -> Iterator[Point]:
    found = _HISTOGRAM.match(item)
    if found is None:
        raise ValueError(f"{item!r} is no histogram")
    start, sign, delta, times = found.groups()
    value = histogram(start)
    hint = "counter_reset_hint" in (delta if delta is not None else start)
    step = None if delta is None else histogram(delta)
    for _ in range(int(times or 0) + 1):
        yield Point(value, hint)
        if step is not None:
            value = (arithmetic.sub if sign == "-" else arithmetic.add)(value, step)[0]


def histogram(text: str) -> FloatHistogram:
    """What stands between `{{` and `}}`."""
    given = dict(_DESCRIPTOR.findall(text))
    if len(_DESCRIPTOR.sub("", text).strip()):
        raise ValueError(f"{text!r} describes no histogram")

    def one(name: str) -> float:
        return _number(given[name]) if name in given else 0.0

    return FloatHistogram(
        schema=int(one("schema")),
        zero_threshold=one("z_bucket_w"),
        zero_count=one("z_bucket"),
        count=one("count"),
        sum=one("sum"),
        positive=_buckets(given, ""),
        negative=_buckets(given, "n_"),
        custom_values=tuple(_number(each) for each in given.get("custom_values", "[]")[1:-1].split()),
        reset_hint=ResetHint(given.get("counter_reset_hint", "unknown")),
    )


def _buckets(given: dict[str, str], prefix: str) -> dict[int, float]:
    first = int(given.get(f"{prefix}offset", "0"))
    counts = [_number(each) for each in given.get(f"{prefix}buckets", "[]")[1:-1].split()]
    return {first + place: count for place, count in enumerate(counts) if count != 0 or math.isnan(count)}


def with_name(labels: Labels, name: str) -> Labels:
    return labels_of({**dict(labels), METRIC_NAME: name})
