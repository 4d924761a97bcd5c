"""Series descriptions: what each sequence means, and what is refused."""

import math
import re

import pytest

from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, ResetHint
from app.engine.model import is_stale
from tests.promqltest.description import Point, histogram, series, starts


def values(sequence: str) -> list[float | FloatHistogram | None]:
    return [point.value for point in series(f"m {sequence}")[1]]


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        ("", []),
        ("1", [1.0]),
        ("-1.5e1 +.5 1e-3", [-15.0, 0.5, 0.001]),
        ("7x2", [7.0, 7.0, 7.0]),
        ("1+2x3", [1.0, 3.0, 5.0, 7.0]),
        ("1-2x2", [1.0, -1.0, -3.0]),
        ("-1-1x1", [-1.0, -2.0]),
        ("0x2", [0.0, 0.0, 0.0]),
        ("1x0", [1.0]),
        ("_ 1 _x2 2", [None, 1.0, None, None, 2.0]),
        ("Inf -Inf +inf", [math.inf, -math.inf, math.inf]),
        ("1_000", [1000.0]),
    ],
)
def test_floats(sequence: str, expected: list[float | None]) -> None:
    assert values(sequence) == expected


def test_the_staleness_marker_is_no_ordinary_nan() -> None:
    stale, nan = values("stale NaN")
    assert isinstance(stale, float)
    assert isinstance(nan, float)
    assert is_stale(stale)
    assert math.isnan(nan)
    assert not is_stale(nan)


@pytest.mark.parametrize(
    ("line", "labels"),
    [
        ("m 1", {"__name__": "m"}),
        ("ns:m{} 1", {"__name__": "ns:m"}),
        ("{} 1", {}),
        ('{a="1", b="2"} 1', {"a": "1", "b": "2"}),
        ('m {b="2",a="1",} 1', {"__name__": "m", "a": "1", "b": "2"}),
        ('{"dotted.name", "label.name"="}"} 1', {"__name__": "dotted.name", "label.name": "}"}),
        (r'm{a="\"\n"} 1', {"__name__": "m", "a": '"\n'}),
        ("m{a='{{', b=`\\`} 1", {"__name__": "m", "a": "{{", "b": "\\"}),
        ('m{a=""} 1', {"__name__": "m"}),
    ],
)
def test_labels(line: str, labels: dict[str, str]) -> None:
    found, points = series(line)
    assert found == tuple(sorted(labels.items()))
    assert points == [Point(1.0)]


def test_each_part_of_a_histogram() -> None:
    assert histogram(
        "schema:2 sum:-4.5 count:9 z_bucket:1 z_bucket_w:0.25 buckets:[1 0 2] offset:-1 "
        "n_buckets:[3 2] n_offset:4 counter_reset_hint:gauge"
    ) == FloatHistogram(
        schema=2,
        sum=-4.5,
        count=9.0,
        zero_count=1.0,
        zero_threshold=0.25,
        positive={-1: 1.0, 1: 2.0},
        negative={4: 3.0, 5: 2.0},
        reset_hint=ResetHint.GAUGE,
    )


def test_a_histogram_with_bounds_of_its_own() -> None:
    assert histogram(" schema:-53 custom_values:[1 2.5 10] buckets:[1 0 0 Inf] ") == FloatHistogram(
        schema=CUSTOM_SCHEMA, custom_values=(1.0, 2.5, 10.0), positive={0: 1.0, 3: math.inf}
    )


@pytest.mark.parametrize(
    ("sequence", "counts"),
    [
        ("{{count:4}}", [4.0]),
        ("{{}}", [0.0]),
        ("{{count:4}}x2", [4.0, 4.0, 4.0]),
        ("{{count:4}}+{{count:2}}x2", [4.0, 6.0, 8.0]),
        ("{{count:4}}-{{count:1}}x2", [4.0, 3.0, 2.0]),
        ("{{schema:-1 count:4}}+{{schema:2 count:1}}x1", [4.0, 5.0]),
    ],
)
def test_sequences_of_histograms(sequence: str, counts: list[float]) -> None:
    found = values(sequence)
    assert [each.count for each in found if isinstance(each, FloatHistogram)] == counts
    assert len(found) == len(counts)


@pytest.mark.parametrize(
    ("sequence", "hints"),
    [
        ("{{count:1}}", [False]),
        ("{{count:1 counter_reset_hint:unknown}}x1", [True, True]),
        ("{{count:1 counter_reset_hint:reset}}+{{}}x1", [False, False]),
        ("{{count:1}}+{{counter_reset_hint:not_reset}}x1", [True, True]),
        ("1", [False]),
    ],
)
def test_whether_the_hint_of_a_reset_is_given(sequence: str, hints: list[bool]) -> None:
    assert [point.hint for point in series(f"m {sequence}")[1]] == hints


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("", "no series"),
        ("1", "no series"),
        ('m{a=~"b"} 1', "takes each label once, with ="),
        ('m{a="1",a="2"} 1', "takes each label once, with ="),
        ('m{__name__="n"} 1', "takes each label once, with ="),
        ("m{a} 1", "no series"),
        ('m{a="b"}5', "no sequence of values"),
        ("m foo", "'foo' is no value"),
        ("m 1+2", "is no value"),
        ("m 1x", "is no value"),
        ("m stalex3", "is no value"),
        ("m _x", "is no value"),
        ("m 0x1f", "is no value"),
        ("m 1e999", "out of range"),
        ("m {{schema:1", "no sequence of values"),
        ("m {{}}+{{}}", "is no histogram"),
        ("m {{}}{{}}", "is no histogram"),
        ("m {{count}}", "describes no histogram"),
        ("m {{colour:1}}", "a histogram has no 'colour'"),
        ("m {{count:1 count:2}}", "'count' is given twice"),
        ("m {{schema:1.5}}", "schema:1.5 is no integer"),
        ("m {{count:many}}", "error parsing number"),
        ("m {{buckets:5}}", "is no list of numbers"),
        ("m {{buckets:[]}}", "is no list of numbers"),
        ("m {{counter_reset_hint:maybe}}", "'maybe' is no hint of a counter reset"),
        ("m {{schema:2}}+{{schema:1}}x1", "schema 1 cannot be added to schema 2"),
        ("m {{schema:-53 custom_values:[1]}}+{{schema:0}}x1", "the other custom bounds"),
    ],
)
def test_refused(line: str, what: str) -> None:
    with pytest.raises(ValueError, match=re.escape(what)):
        series(line)


@pytest.mark.parametrize(
    ("line", "offsets"),
    [
        ("m@st -30s", [-30_000]),
        ("m@st 0 _ _x2 1ms", [0, None, None, None, 1]),
        ('m{a="b c"}@st -1m-30sx2', [-60_000, -90_000, -120_000]),
        ('m{a="b c"}@st -1m30s+30sx1', [-90_000, -60_000]),
        ("m@st 1hx1", [3_600_000, 3_600_000]),
        ("m@st", []),
    ],
)
def test_start_timestamps(line: str, offsets: list[int | None]) -> None:
    found = starts(line)
    assert found is not None
    assert found[0][0] == ("__name__", "m")
    assert found[1] == offsets


@pytest.mark.parametrize("line", ["m 1", 'm{a="@st"} 1', "m @st 1m", "m@start 1m"])
def test_no_line_of_start_timestamps(line: str) -> None:
    assert starts(line) is None


@pytest.mark.parametrize("item", ["five", "1x", "1m+x2", "1m30", "1m+30s"])
def test_start_timestamps_refused(item: str) -> None:
    with pytest.raises(ValueError, match=r"start timestamp|duration"):
        starts(f"m@st {item}")
