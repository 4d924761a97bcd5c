"""Native histograms on columns: what the reference evaluator computes, one step and one object at a time."""

import math
import random
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.engine.fast.shape import common_shape
from app.engine.histogram import statistics
from app.engine.histogram.columns import columns_of
from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, ResetHint
from app.engine.kernels.native_values import native_values
from app.engine.model import STALE, Labels, Query, Series, labels_of
from app.engine.prepare import selects
from app.engine.promql.ast import Matcher
from tests.unit.engine.fast.agreement import check
from tests.unit.engine.histogram.vectors import same

_STEP = 15_000
_SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


class Stored:
    """A `Storage` of a few series."""

    def __init__(self, series: Sequence[Series]) -> None:
        self._series = sorted(series, key=lambda each: each.labels)

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> Sequence[Series]:
        return [each for each in self._series if selects(matchers, dict(each.labels))]


class Kind(msgspec.Struct, frozen=True):
    """:param gauge: whether the values go up and down."""

    layout: FloatHistogram
    indexes: tuple[int, ...]
    negative: tuple[int, ...]
    gauge: bool = False


_KINDS = [
    Kind(FloatHistogram(schema=3, zero_threshold=1e-128), (-2, -1, 0, 1, 5), ()),
    Kind(FloatHistogram(schema=0, zero_threshold=0.25), (0, 1, 2), (1, 2, 4)),
    Kind(FloatHistogram(schema=-1), (), (0, 1)),
    Kind(FloatHistogram(schema=1, zero_threshold=0.001), (1, 2), (), gauge=True),
    Kind(FloatHistogram(schema=CUSTOM_SCHEMA, custom_values=(-1.0, 0.5, 2.0)), (0, 1, 2, 3), ()),
]
_COUNTS = (0.0, 0.0, 1.0, 2.0, 3.0, 0.5)
_HINTS = (ResetHint.UNKNOWN, ResetHint.NOT_RESET, ResetHint.NOT_RESET, ResetHint.RESET)


def _histograms(chance: random.Random, kind: Kind, count: int) -> list[FloatHistogram]:
    """A counter that is reset now and then, by its hint or without one."""
    found, heights, zero, total = list[FloatHistogram](), [0.0] * len(kind.indexes + kind.negative), 0.0, 0.0
    for _ in range(count):
        if kind.gauge or chance.random() < 0.15:
            heights, zero, total = [0.0] * len(heights), 0.0, 0.0
        heights = [height + chance.choice(_COUNTS) for height in heights]
        zero += 0.0 if kind.layout.custom else chance.choice(_COUNTS)
        total += chance.choice([1.5, 0.25, 0.25, 0.0, -1.0])
        shown = chance.choice([total, total, total, total, math.nan, math.inf])
        positive = dict(zip(kind.indexes, heights, strict=False))
        negative = dict(zip(kind.negative, heights[len(positive) :], strict=True))
        found.append(
            msgspec.structs.replace(
                kind.layout,
                zero_count=zero,
                count=sum(heights) + zero + (1 if math.isnan(shown) else 0),
                sum=shown,
                positive={index: height for index, height in positive.items() if height},
                negative={index: height for index, height in negative.items() if height},
                reset_hint=ResetHint.GAUGE if kind.gauge and chance.random() < 0.9 else chance.choice(_HINTS),
            )
        )
    return found


def _series(chance: random.Random, labels: Labels, kind: Kind) -> Series:
    """Mostly regular, with gaps, jitter and staleness markers."""
    count = chance.randint(1, 30)
    gaps = chance.choices([_STEP, _STEP, _STEP, _STEP + 7, 400_000], [5, 5, 5, 1, 1], k=count - 1)
    times = np.cumsum([chance.randint(0, 600_000), *gaps]).astype(np.int64)
    histograms = _histograms(chance, kind, count)
    marked = {chance.randrange(count) for _ in range(chance.randint(0, 2))}
    values = np.array([each.sum for each in histograms])
    values[list(marked)] = STALE
    return Series(labels, times, values, {at: each for at, each in enumerate(histograms) if at not in marked})


_LABELS = [
    labels_of({"__name__": name, "job": job, "instance": instance})
    for name in ("x", "y")
    for job in ("a", "b")
    for instance in ("1", "2", "3")
]


@st.composite
def storages(draw: st.DrawFn) -> Stored:
    """By chance from a seed: to draw every number by itself would take most of the time."""
    kind, chance = draw(st.sampled_from(_KINDS)), random.Random(draw(st.integers(0, 1 << 32)))
    chosen = chance.sample(_LABELS, draw(st.integers(1, 6)))
    return Stored([_series(chance, labels, kind) for labels in chosen])


_queries = st.sampled_from(
    [(600_000, 600_000, 0), (0, 900_000, 60_000), (300_000, 1_000_000, 25_000), (500_000, 500_000, 0)]
)
_at = st.sampled_from(["", "", " offset 1m", " @ 500"])
_leaves = st.one_of(
    st.builds("{}{}".format, st.sampled_from(["x", 'x{job="a"}', "y"]), _at),
    st.builds(
        "{}({}[{}]{})".format,
        st.sampled_from("rate increase delta irate idelta last_over_time".split()),
        st.sampled_from(["x", "y", '{job="a"}']),
        st.sampled_from(["31s", "1m", "5m"]),
        _at,
    ),
)
_wider = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(
            "{} {} ({})".format,
            st.sampled_from("sum avg count group".split()),
            st.sampled_from(["", "by (job)", "without (instance)"]),
            inner,
        ),
        st.builds("({}) {} {}".format, inner, st.sampled_from("*/"), st.sampled_from(["2", "-0.5", "0"])),
        st.builds("3 * ({})".format, inner),
        st.builds("-({})".format, inner),
    ),
    max_leaves=2,
)
_FUNCTIONS = (
    "histogram_quantile(0.5, {})",
    "histogram_quantile(0.95, {})",
    "histogram_quantile(0, {})",
    "histogram_quantile(scalar(histogram_count({})), {})",
    "histogram_fraction(-0.3, 1.7, {})",
    "histogram_fraction(0.1, Inf, {})",
    "histogram_avg({})",
    "histogram_count({})",
    "histogram_sum({})",
    "histogram_stddev({})",
    "histogram_stdvar({})",
    "{}",
    "absent({})",
)


@pytest.mark.parametrize("function", _FUNCTIONS)
@_SETTINGS
@given(storages(), _wider, _queries, st.booleans())
def test_agreement(
    function: str, storage: Stored, inner: str, when: tuple[int, int, int], closed: bool
) -> None:
    expression = function.replace("{}", inner)
    start, end, step = when
    check(Query(expression, start, end, step, closed_windows=closed), expression, storage, ordered=False)


@pytest.mark.parametrize("kind", _KINDS, ids=range(len(_KINDS)))
def test_quantiles_and_fractions_are_the_same_bits(kind: Kind) -> None:
    """Also of counts below zero, which differences have, and of observations of NaN."""
    chance = random.Random(5)
    histograms = [
        msgspec.structs.replace(
            each,
            count=each.count + chance.choice([0, 0, 0, -1, 2]),
            positive={index: chance.choice([height, -1.0]) for index, height in each.positive.items()},
        )
        for each in _histograms(chance, kind, 200)
    ]
    columns = columns_of(histograms)
    shape = common_shape(columns.layouts)
    data = np.zeros((len(histograms), 1, shape.width))
    data[:, 0, :2], data[:, 0, shape.zero] = columns.numbers[:, :2], columns.numbers[:, 2]
    for row, number in enumerate(columns.layout.tolist()):
        first, layout = columns.first[row], columns.layouts[number]
        data[row, 0, shape.places(layout)] = columns.buckets[first : first + layout.width]
    place = shape.zero, *shape.bounds(), shape.custom

    def computed(first: float, second: float, fractions: bool) -> list[float]:
        out, there = np.empty((len(histograms), 1)), np.ones((len(histograms), 1), np.uint8)
        limits = np.array([first]), np.array([second])
        native_values(*limits, fractions, data, there, *place, out, np.zeros(1, np.uint8))
        found: list[float] = out[:, 0].tolist()
        return found

    for q in (-0.1, 0.0, 0.2, 0.5, 0.77, 1.0, 1.1, math.nan):
        wanted = [statistics.quantile(q, each)[0] for each in histograms]
        assert all(map(same, computed(q, q, fractions=False), wanted))
    for pair in ((-1.0, 1.0), (0.3, 1.4), (-3.0, math.inf), (-math.inf, 0.1), (2.0, 1.0), (math.nan, 1.0)):
        wanted = [statistics.fraction(*pair, each)[0] for each in histograms]
        assert all(map(same, computed(*pair, fractions=True), wanted))


@pytest.mark.parametrize("kind", _KINDS, ids=range(len(_KINDS)))
@pytest.mark.parametrize(
    "expression",
    [
        "x",
        "sum by (job) (rate(x[1m]))",
        "histogram_quantile(0.9, sum(rate(x[5m])))",
        "histogram_fraction(0, 1, increase(x[5m]))",
        "histogram_stdvar(sum(x))",
        "count_over_time(x[1m])",
        "timestamp(x)",
        "present_over_time(x[2m])",
    ],
)
def test_is_served(expression: str, kind: Kind) -> None:
    for seed in range(4):
        storage = Stored([_series(random.Random(seed), labels, kind) for labels in _LABELS[:3]])
        assert check(Query(expression, 0, 900_000, 60_000), expression, storage)


@pytest.mark.parametrize("expression", ["x", "sum(rate(x[5m]))", "histogram_quantile(0.5, x)", "max(x)"])
def test_other_data_is_left_to_the_reference(expression: str) -> None:
    """Several layouts, or floats beside histograms."""
    times = np.arange(3) * _STEP

    def series(instance: str, *layouts: FloatHistogram | None) -> Series:
        found = {at: each for at, each in enumerate(layouts) if each is not None}
        return Series(labels_of({"__name__": "x", "instance": instance}), times, np.ones(3), found)

    one, coarse, wide = FloatHistogram(schema=1), FloatHistogram(), FloatHistogram(schema=1, zero_threshold=1)
    inside = FloatHistogram(schema=1, zero_threshold=4, positive={1: 2.0})
    for storage in (
        Stored([series("1", one, one, coarse)]),
        Stored([series("1", one, one, one), series("2", wide, wide, wide)]),
        Stored([series("1", one, None, one)]),
        Stored([series("1", inside, inside, inside)]),
        Stored([series("1", one, one, one), series("2", None, None, None)]),
    ):
        assert not check(Query(expression, 40_000, 40_000, 0), expression, storage)
