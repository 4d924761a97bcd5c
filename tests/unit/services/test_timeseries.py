import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, ResetHint
from app.engine.model import STALE, Matrix, Row, Sample, Scalar, String, Value, Vector
from app.fanout.wire import field
from app.pb.prometheus_copy import BucketSpan, HistogramResetHint, TimeSeries
from app.pb.thanos import QueryResponse
from app.services import timeseries
from app.services.timeseries import histogram, messages, samples, spans
from tests.unit.fanout.answers import messages as unframed

H = FloatHistogram(
    schema=1, zero_threshold=0.5, count=7.0, sum=3.5, positive={-2: 1.0, -1: 2.0, 3: 4.0}, negative={0: 1.5}
)


def responses(value: Value, together: int) -> list[QueryResponse]:
    return [QueryResponse.parse(each) for each in unframed(b"".join(messages(value, together)))]


def row(name: str, count: int = 2) -> Row:
    return Row((("__name__", name),), np.arange(count, dtype=np.int64) * 15_000, np.linspace(0.0, 1.5, count))


@given(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)), max_size=40).map(sorted)
)
def test_samples_are_what_a_parser_reads(points: list[tuple[int, float]]) -> None:
    times = np.array([time for time, _ in points], np.int64)
    values = np.array([value for _, value in points], np.float64)
    found = TimeSeries.parse(samples(times, values)).samples
    assert [(each.timestamp, each.value) for each in found] == points


def test_the_bits_of_a_nan_are_kept() -> None:
    values = np.array([math.nan, STALE], np.float64)
    found = samples(np.array([1, 2], np.int64), values)
    assert values[0].tobytes() in found
    assert values[1].tobytes() in found


def test_labels_are_utf_8() -> None:
    (found,) = responses(Vector([Sample((("a\udcff", "é\udcff"),), 1.0, 0)]), 0)
    assert found.timeseries is not None
    assert [(each.name, each.value) for each in found.timeseries.labels] == [("a\ufffd", "é\ufffd")]


def test_a_vector_has_floats_and_histograms() -> None:
    vector = Vector(
        [Sample((("a", "1"),), 2.5, 1000), Sample((("a", "2"),), H, 1000), Sample((), 0.0, -1000)]
    )
    first, second, third = (each.timeseries for each in responses(vector, 0))
    assert first is not None
    assert second is not None
    assert third is not None
    assert [(label.name, label.value) for label in first.labels] == [("a", "1")]
    assert [(each.timestamp, each.value) for each in first.samples] == [(1000, 2.5)]
    assert second.samples == []
    assert [each.timestamp for each in second.histograms] == [1000]
    assert [(each.timestamp, each.value) for each in third.samples] == [(-1000, 0.0)]


def test_a_row_with_both_keeps_each_at_its_time() -> None:
    mixed = Row((("a", "1"),), np.array([1, 2, 3], np.int64), np.array([1.0, 0.0, 3.0]), {1: H})
    (found,) = responses(Matrix([mixed]), 0)
    assert found.timeseries is not None
    assert [(each.timestamp, each.value) for each in found.timeseries.samples] == [(1, 1.0), (3, 3.0)]
    assert [each.timestamp for each in found.timeseries.histograms] == [2]


def test_a_histogram_is_of_floats() -> None:
    made = histogram(5, H)
    assert made.positive_spans == [BucketSpan(offset=-2, length=2), BucketSpan(offset=3, length=1)]
    assert made.positive_counts == [1.0, 2.0, 4.0]
    assert made.negative_spans == [BucketSpan(offset=0, length=1)]
    assert (made.count_float, made.zero_count_float, made.sum, made.schema) == (7.0, 0.0, 3.5, 1)
    assert made.count_int is None
    assert made.reset_hint is HistogramResetHint.UNKNOWN
    custom = histogram(
        5,
        FloatHistogram(
            CUSTOM_SCHEMA, custom_values=(1.0, 2.0), reset_hint=ResetHint.GAUGE, positive={2: 1.0}
        ),
    )
    assert custom.custom_values == [1.0, 2.0]
    assert custom.reset_hint is HistogramResetHint.GAUGE
    assert custom.positive_spans == [BucketSpan(offset=2, length=1)]


def test_spans_count_the_gap_between_them() -> None:
    assert spans([]) == []
    assert [(each.offset, each.length) for each in spans([-3, 0, 1, 5])] == [(-3, 1), (2, 2), (3, 1)]


@pytest.mark.parametrize("together", [-1, 0, 1])
def test_each_series_has_its_own_message(together: int) -> None:
    found = responses(Matrix([row("a"), row("b")]), together)
    assert [each.timeseries is not None for each in found] == [True, True]


def test_series_come_in_batches() -> None:
    found = responses(Matrix([row(name) for name in "abcde"]), 2)
    batches = [each.timeseries_batch for each in found]
    assert [len(each.series) for each in batches if each is not None] == [2, 2, 1]
    assert batches[2] is not None
    assert batches[2].series[0].labels[0].value == "e"


def test_a_batch_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeseries, "MESSAGE", 900)
    found = responses(Matrix([row(name, 30) for name in "abcd"]), 64)
    assert [len(each.timeseries_batch.series) for each in found if each.timeseries_batch] == [2, 2]


def test_a_scalar_has_no_labels_and_a_string_no_series() -> None:
    (found,) = responses(Scalar(1000, 2.0), 64)
    assert found.timeseries_batch is not None
    assert bytes(found.timeseries_batch.series[0]) == field(
        2, b"\x09" + np.float64(2).tobytes() + b"\x10\xe8\x07"
    )
    assert responses(String(1000, "a"), 64) == []
