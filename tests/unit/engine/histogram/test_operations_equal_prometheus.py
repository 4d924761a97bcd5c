"""Every operation gives what Prometheus 3.14 gives, to the bit."""

import json
from typing import Any

import pytest

from app.engine.histogram import arithmetic, classic, statistics, trimming
from app.engine.histogram.buckets import to_json, to_test_text, to_text
from app.engine.histogram.sums import HistogramMean, HistogramSum
from tests.unit.engine.histogram.vectors import assert_same, histogram, load, number, same

Case = dict[str, Any]
CASES = load("operations.jsonl")


@pytest.fixture(params=CASES, ids=range(len(CASES)))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def _note(found: statistics.NanObservations | None) -> str | None:
    return None if found is None else f"PromQL info: {found.value}"


@pytest.mark.parametrize("operation", ["add", "sub"])
def test_addition_and_subtraction(case: Case, operation: str) -> None:
    result, notes = getattr(arithmetic, operation)(histogram(case["a"]), histogram(case["b"]))
    expected = case[operation]
    assert_same(result, histogram(expected["h"]))
    assert notes == arithmetic.Notes(reset_collision=expected["c"], bounds_reconciled=expected["n"])


def test_scaling(case: Case) -> None:
    h, factor = histogram(case["a"]), number(case["f"])
    assert_same(arithmetic.mul(h, factor), histogram(case["mul"]))
    assert_same(arithmetic.div(h, factor), histogram(case["div"]))


def test_comparison(case: Case) -> None:
    a, b = histogram(case["a"]), histogram(case["b"])
    assert arithmetic.equals(a, b) is case["eq"]
    assert [arithmetic.detect_reset(a, b), arithmetic.detect_reset(b, a)] == case["reset"]


def test_sums_and_means(case: Case) -> None:
    first, *others = map(histogram, case["hs"])
    total, mean = HistogramSum(first), HistogramMean(first)
    for h in others:
        total.add(h)
        mean.add(h)
    assert_same(total.result(), histogram(case["ksum"]))
    assert_same(mean.result(), histogram(case["kmean"]))


def test_quantiles(case: Case) -> None:
    h = histogram(case["a"])
    for expected in case["quantiles"]:
        value, note = statistics.quantile(number(expected["q"]), h)
        assert same(value, number(expected["v"])), number(expected["q"])
        assert _note(note) == expected["note"]


def test_fractions(case: Case) -> None:
    h = histogram(case["a"])
    for expected in case["fractions"]:
        value, note = statistics.fraction(number(expected["l"]), number(expected["u"]), h)
        assert same(value, number(expected["v"]))
        assert _note(note) == expected["note"]


def test_variance(case: Case) -> None:
    assert same(statistics.variance(histogram(case["a"])), number(case["var"]))


def test_trimming(case: Case) -> None:
    h = histogram(case["a"])
    for expected in case["trims"]:
        bound = number(expected["x"])
        assert_same(trimming.trim(h, bound, upper=True), histogram(expected["u"]))
        assert_same(trimming.trim(h, bound, upper=False), histogram(expected["l"]))


def test_texts(case: Case) -> None:
    h = histogram(case["a"])
    assert to_text(h) == case["text"]
    assert to_test_text(h) == case["test"]
    assert to_json(h) == json.loads(case["json"])


def test_classic_histograms(case: Case) -> None:
    expected = case["classic"]
    buckets = [(number(bound), number(count)) for bound, count in expected["b"]]
    result = classic.bucket_quantile(number(expected["q"]), buckets)
    assert same(result.value, number(expected["v"]))
    assert result.forced_monotonic is expected["fm"]
    if result.forced_monotonic:
        assert result.min_bucket == number(expected["mi"])
        assert result.max_bucket == number(expected["ma"])
        assert result.max_diff == number(expected["md"])
    found = classic.bucket_fraction(number(expected["l"]), number(expected["u"]), buckets)
    assert same(found, number(expected["fr"]))
