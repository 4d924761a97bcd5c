"""Every kernel against its plain twin: the same bits."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.fast.labels import numbered
from app.engine.kernels import aggregate, numbers, over_time, rates, statistics
from app.engine.kernels.buckets import bucket_quantiles
from app.engine.kernels.ranking import choose, quantiles
from app.engine.kernels.result_json import write_rows, write_times
from app.engine.kernels.windows import chunk_windows, point_windows
from app.engine.model import STALE, is_stale
from tests.unit.engine.fast import twins
from tests.unit.engine.fast.tables import named, table

FUNCTIONS = (
    rates.RATE,
    rates.INCREASE,
    rates.DELTA,
    rates.IRATE,
    rates.IDELTA,
    over_time.COUNT,
    over_time.PRESENT,
    over_time.FIRST,
    over_time.LAST,
    over_time.FIRST_TIME,
    over_time.LAST_TIME,
    over_time.CHANGES,
    over_time.RESETS,
    over_time.SUM,
    over_time.AVERAGE,
    over_time.MIN,
    over_time.MAX,
    statistics.DEVIATION,
    statistics.VARIANCE,
    statistics.QUANTILE,
    statistics.DERIVATIVE,
    statistics.PREDICTION,
    statistics.ABSOLUTE_DEVIATION,
)
NO_CANCEL = np.zeros(1, np.uint8)

_odd = st.sampled_from([0.0, -0.0, 1e308, -1e308, 1e16, math.nan, math.inf, -math.inf])
_value = st.one_of(st.integers(0, 20).map(float), st.floats(-1e9, 1e9), _odd)


@st.composite
def _samples(draw: st.DrawFn) -> list[tuple[int, float]]:
    """Gaps, resets and staleness markers among them; maybe none at all."""
    gaps = draw(st.lists(st.sampled_from([1, 1000, 15_000, 15_001, 90_000]), max_size=30))
    times = np.cumsum([draw(st.integers(-50_000, 50_000)), *gaps]).tolist()[1:]
    values = draw(st.lists(st.one_of(_value, st.just(STALE)), min_size=len(times), max_size=len(times)))
    return list(zip(times, values, strict=True))


def _same(found: float, wanted: float | None, present: int) -> None:
    assert bool(present) == (wanted is not None)
    if wanted is not None:
        assert found == wanted or (math.isnan(found) and math.isnan(wanted))


_frames = st.tuples(
    st.integers(-100_000, 100_000),
    st.sampled_from([1, 7_000, 30_000]),
    st.sampled_from([1000, 45_000, 300_000]),
    st.booleans(),
)


@pytest.mark.parametrize("function", FUNCTIONS)
@settings(max_examples=60, deadline=None)
@given(_samples(), _frames, st.sampled_from([0.0, 0.25, 1.0, -1.0, 2.0, math.nan]))
def test_functions_of_windows(
    function: int, samples: list[tuple[int, float]], frame: tuple[int, int, int, bool], parameter: float
) -> None:
    start, step, length, closed = frame
    count = 12
    ends = start + step * np.arange(count, dtype=np.int64)
    moments = ends + 5_000
    made = table({named("x"): [samples]} if samples else {named("x"): []}, chunk=7)
    kept = [(time, value) for time, value in samples if not is_stale(value)]
    common = (
        np.array([length, closed], np.int64),
        ends,
        moments,
        length / 1000,
        np.full(count, parameter),
    )
    out, present = np.empty((1, count)), np.empty((1, count), np.uint8)
    rules = np.array([made.start, made.end, 0], np.int64)
    arrays = (made.data, made.lanes, made.chunks, made.offset, made.length)
    assert chunk_windows(function, *arrays, rules, 0, 1, *common, out, present, NO_CANCEL) == -1
    again, there = np.empty((1, count)), np.empty((1, count), np.uint8)
    times = np.array([time for time, _ in kept], np.int64)
    values = np.array([value for _, value in kept], np.float64)
    starts = np.array([0, len(kept)], np.int64)
    point_windows(function, times, values, starts, *common, again, there, NO_CANCEL)
    for place, high in enumerate(ends.tolist()):
        low = high - length
        inside = [(time, value) for time, value in kept if low - closed < time <= high]
        wanted = twins.of_window(function, inside, low, high, high + 5_000, parameter)
        _same(out[0, place], wanted, present[0, place])
        _same(again[0, place], wanted, there[0, place])


@settings(max_examples=100, deadline=None)
@given(_samples(), _frames)
def test_instants(samples: list[tuple[int, float]], frame: tuple[int, int, int, bool]) -> None:
    start, step, lookback, closed = frame
    ends = start + step * np.arange(12, dtype=np.int64)
    made = table({named("x"): [samples] if samples else []}, chunk=7)
    rules = np.array([made.start, made.end, 0], np.int64)
    arrays = (made.data, made.lanes, made.chunks, made.offset, made.length)
    common = (np.array([lookback, closed], np.int64), ends, ends, 1.0, np.zeros(12))
    for function in (over_time.INSTANT, over_time.TIMESTAMP):
        out, present = np.empty((1, 12)), np.empty((1, 12), np.uint8)
        chunk_windows(function, *arrays, rules, 0, 1, *common, out, present, NO_CANCEL)
        for place, high in enumerate(ends.tolist()):
            seen = [sample for sample in samples if high - lookback - closed < sample[0] <= high]
            wanted = None
            if seen and not is_stale(seen[-1][1]):
                wanted = seen[-1][1] if function == over_time.INSTANT else seen[-1][0] / 1000
            _same(out[0, place], wanted, present[0, place])


def test_a_chunk_that_is_cut_short_is_named() -> None:
    made = table({named("x", a=str(n)): [[(n, 1.0), (n + 1, 2.0)]] for n in range(3)})
    length = made.length.copy()
    length[1] -= 3
    out, present = np.empty((3, 1)), np.empty((3, 1), np.uint8)
    ends = np.array([10], np.int64)
    common = (np.array([100, 0], np.int64), ends, ends, 1.0, np.zeros(1))
    arrays = (made.data, made.lanes, made.chunks, made.offset, length)
    rules = np.array([made.start, made.end, 0], np.int64)
    assert chunk_windows(rates.RATE, *arrays, rules, 0, 3, *common, out, present, NO_CANCEL) == 1


_matrices = st.integers(1, 12).flatmap(
    lambda rows: st.tuples(
        st.lists(st.lists(_value, min_size=3, max_size=3), min_size=rows, max_size=rows),
        st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=rows, max_size=rows),
        st.lists(st.integers(0, 2), min_size=rows, max_size=rows),
    )
)
_Matrix = tuple[list[list[float]], list[list[bool]], list[int]]


def _columns(matrix: _Matrix, group: int, step: int) -> tuple[list[int], list[float]]:
    """Rows of a group that have a value at a step, and their values."""
    values, present, groups = matrix
    rows = [row for row in range(len(groups)) if groups[row] == group and present[row][step]]
    return rows, [values[row][step] for row in rows]


@pytest.mark.parametrize("operator", range(8))
@settings(max_examples=60, deadline=None)
@given(_matrices)
def test_aggregations(operator: int, matrix: _Matrix) -> None:
    values, present = np.array(matrix[0]), np.array(matrix[1]).astype(np.uint8)
    groups = np.array(matrix[2], np.int64)
    total, lost = np.zeros((3, 3)), np.zeros((3, 3))
    count, moving = np.zeros((3, 3), np.int32), np.zeros((3, 3), np.uint8)
    for low, high in ((0, 1), (1, 3)):
        state = (total, lost, count, moving)
        aggregate.accumulate(operator, values, present, groups, low, high, *state, NO_CANCEL)
    there = np.empty((3, 3), np.uint8)
    aggregate.finish(operator, total, lost, count, moving, there, NO_CANCEL)
    for group in range(3):
        for step in range(3):
            found = _columns(matrix, group, step)[1]
            wanted = twins.aggregated(operator, found) if found else None
            _same(total[group, step], wanted, there[group, step])


def _ordered(groups: list[int]) -> tuple["np.ndarray[tuple[int], np.dtype[np.int64]]", list[int]]:
    order = np.argsort(np.array(groups), kind="stable")
    return order, [sum(group < limit for group in groups) for limit in range(4)]


@settings(max_examples=150, deadline=None)
@given(_matrices, st.lists(st.integers(0, 6), min_size=3, max_size=3), st.booleans())
def test_topk(matrix: _Matrix, most: list[int], down: bool) -> None:
    values, present = np.array(matrix[0]), np.array(matrix[1]).astype(np.uint8)
    order, starts = _ordered(matrix[2])
    chosen = np.zeros(values.shape, np.uint8)
    ranked = np.empty(len(values), np.int64)
    bounds = np.array(starts, np.int64)
    limits = np.array(most, np.int64)
    size = choose(limits, down, order, bounds, values, present, chosen, ranked, NO_CANCEL)
    last: list[int] = []
    for step in range(3):
        wanted: list[int] = []
        for group in range(3):
            rows, found = _columns(matrix, group, step)
            wanted += [rows[place] for place in twins.chosen(found, most[step], down)]
        assert np.flatnonzero(chosen[:, step]).tolist() == sorted(wanted)
        last = wanted
    assert ranked[:size].tolist() == last


@settings(max_examples=100, deadline=None)
@given(
    _matrices, st.lists(st.sampled_from([0.0, 0.3, 0.5, 1.0, 1.5, -1.0, math.nan]), min_size=3, max_size=3)
)
def test_quantiles(matrix: _Matrix, rank: list[float]) -> None:
    values, present = np.array(matrix[0]), np.array(matrix[1]).astype(np.uint8)
    order, starts = _ordered(matrix[2])
    out, filled = np.empty((3, 3)), np.zeros((3, 3), np.uint8)
    bounds = np.array(starts, np.int64)
    quantiles(np.array(rank), order, bounds, values, present, out, filled, NO_CANCEL)
    for group in range(3):
        for step in range(3):
            found = _columns(matrix, group, step)[1]
            wanted = twins.quantile(rank[step], found) if found else None
            _same(out[group, step], wanted, filled[group, step])


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=True), min_size=30, max_size=200), st.floats(0, 1))
def test_quantiles_of_many(values: list[float], rank: float) -> None:
    rows = np.array(values)[:, None]
    out, filled = np.empty((1, 1)), np.empty((1, 1), np.uint8)
    order, starts = np.arange(len(values)), np.array([0, len(values)], np.int64)
    quantiles(np.array([rank]), order, starts, rows, np.ones(rows.shape, np.uint8), out, filled, NO_CANCEL)
    _same(out[0, 0], twins.quantile(rank, values), filled[0, 0])


_bucket = st.tuples(
    st.sampled_from([-1.0, 0.0, 0.1, 1.0, 5.0, math.inf, math.inf]),
    st.sampled_from([0.0, 1.0, 1.0 + 1e-14, 2.5, 7.0, 100.0]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_bucket, min_size=1, max_size=7), st.sampled_from([0.0, 0.1, 0.5, 0.99, 1.0, 2.0, -0.5]))
def test_bucket_quantiles(buckets: list[tuple[float, float]], rank: float) -> None:
    limits = np.array([limit for limit, _ in buckets])
    values = np.array([[count] for _, count in buckets])
    order = np.lexsort((limits,))
    out, filled = np.empty((1, 1)), np.zeros((1, 1), np.uint8)
    forced = np.array([[0.0, np.inf, -np.inf, 0.0]])
    starts = np.array([0, len(buckets)], np.int64)
    present = np.ones(values.shape, np.uint8)
    bucket_quantiles(np.array([rank]), order, starts, limits, values, present, out, filled, forced, NO_CANCEL)
    wanted, repaired = twins.bucket_quantile(rank, buckets)
    _same(out[0, 0], wanted, filled[0, 0])
    assert bool(forced[0, 0]) == repaired


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 2), st.integers(0, 1)), max_size=60))
def test_equal_rows(rows: list[tuple[int, int, int]]) -> None:
    groups, count = numbered(np.array(rows, np.int32).reshape(-1, 3))
    seen: dict[tuple[int, int, int], int] = {}
    assert groups.tolist() == [seen.setdefault(row, len(seen)) for row in rows]
    assert count == len(seen)


def _text(value: float) -> str:
    out = np.empty(numbers.LONGEST, np.uint8)
    end = numbers.write_float(out, 0, np.array([value]).view(np.uint64)[0])
    return out[:end].tobytes().decode()


@settings(max_examples=1000, deadline=None)
@given(
    st.one_of(
        st.floats(), st.integers(-(2**60), 2**60).map(float), st.floats(1e-8, 1e-4), st.floats(1e18, 1e23)
    )
)
def test_numbers(value: float) -> None:
    assert _text(value) == twins.go_float(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1e-6, "0.000001"),
        (1e-7, "1e-07"),
        (-0.0, "-0"),
        (5e-324, "5e-324"),
        (2.2250738585072014e-308, "2.2250738585072014e-308"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740993.0, "9007199254740992"),
        (0.1 + 0.2, "0.30000000000000004"),
        (123456.789, "123456.789"),
        (-0.000012345678901234567, "-0.000012345678901234568"),
    ],
)
def test_numbers_at_the_edges(value: float, text: str) -> None:
    assert _text(value) == text


def test_powers_of_two_and_their_neighbours() -> None:
    for tiny in range(1, 3000):
        assert _text(tiny * 5e-324) == twins.go_float(tiny * 5e-324)
    for exponent in range(-1074, 1024):
        for value in (math.ldexp(1, exponent), math.nextafter(math.ldexp(1, exponent), 0)):
            if value:
                assert _text(value) == twins.go_float(value)


@settings(max_examples=100, deadline=None)
@given(_matrices, st.integers(110, 400), st.booleans())
def test_rows_of_json(matrix: _Matrix, room: int, single: bool) -> None:
    values, present = np.array(matrix[0]), np.array(matrix[1])
    if single:
        values, present = values[:, :1], present[:, :1]
    order = np.flatnonzero(present.any(axis=1))[::-1].copy()
    times = np.array([-1500, 0, 1_700_000_000_001][: values.shape[1]], np.int64)
    written, time_starts = np.empty(100, np.uint8), np.empty(len(times) + 1, np.int64)
    write_times(times, written, time_starts)
    texts = [b'""', b'"a"', b'"b"', b'"x"', b'"y"']
    text_starts = np.concatenate(([0], np.cumsum([len(text) for text in texts]))).astype(np.int64)
    content = np.frombuffer(b"".join(texts), np.uint8)
    names = np.array([3, 4], np.int32)
    ids = np.array([[row % 3, (row + 1) % 3] for row in range(len(values))], np.int32)
    state, out = np.array([0, -1, 0], np.int64), np.empty(room, np.uint8)
    bits = np.ascontiguousarray(values).view(np.uint64)
    result = b"["
    while state[0] < len(order):
        size = write_rows(
            order, len(order), bits, np.ascontiguousarray(present).view(np.uint8), names, ids, content,
            text_starts, written, time_starts, single, state, out,
        )  # fmt: skip
        assert size
        result += out[:size].tobytes()
    found = json.loads(result + b"]")
    stamps = [-1.5, 0, 1_700_000_000.001]
    for row, element in zip(order.tolist(), found, strict=True):
        labels = {
            "x": "ab"[row % 3 - 1] if row % 3 else "",
            "y": "ab"[(row + 1) % 3 - 1] if (row + 1) % 3 else "",
        }
        assert element["metric"] == {name: value for name, value in labels.items() if value}
        points = [
            [stamps[step], twins.go_float(float(values[row, step]))]
            for step in range(values.shape[1])
            if present[row, step]
        ]
        assert element["value" if single else "values"] == (points[0] if single else points)
