import pytest

from app.demo.dataset import SPAN, Dataset, Shape, merged
from app.errors import CallError, Code
from app.pb.thanos import (
    Label,
    LabelMatcher,
    LabelMatcherType,
    LabelNamesRequest,
    LabelValuesRequest,
    Series,
    SeriesRequest,
)

SHAPE = Shape(series=64)
EU_A = Dataset("eu", "a", SHAPE)
EU_B = Dataset("eu", "b", SHAPE)


def _request(*matchers: LabelMatcher, **more: object) -> SeriesRequest:
    given = {"min_time": SHAPE.start, "max_time": SHAPE.start + SPAN, **more}
    return SeriesRequest(matchers=list(matchers), **given)  # type: ignore[arg-type]


def _matcher(kind: str, name: str, value: str) -> LabelMatcher:
    return LabelMatcher(type=LabelMatcherType[kind], name=name, value=value)


def test_the_same_realm_and_replica_give_the_same_bytes() -> None:
    again = Dataset("eu", "a", SHAPE)
    assert [series.encoded() for series in again.series] == [series.encoded() for series in EU_A.series]


def test_the_bytes_are_the_message() -> None:
    for series in EU_A.series:
        message = Series.parse(series.encoded())
        assert bytes(message) == series.encoded()
        assert message.labels == [Label(name=name, value=value) for name, value in series.labels]
        assert [chunk.raw.data for chunk in message.chunks if chunk.raw] == [c.data for c in series.chunks]
        assert [(c.min_time, c.max_time) for c in message.chunks] == [
            (c.min_time, c.max_time) for c in series.chunks
        ]


def test_series_come_in_label_order_each_once() -> None:
    labels = [series.labels for series in EU_A.series]
    assert len(labels) == 64
    assert labels == sorted(set(labels))
    assert all(list(pairs) == sorted(pairs) for pairs in labels)


@pytest.mark.parametrize(
    ("kind", "name", "value", "count"),
    [
        ("EQ", "__name__", "up", 16),
        ("NEQ", "__name__", "up", 48),
        ("RE", "__name__", "up|temp.*", 32),
        ("RE", "__name__", "u", 0),  # anchored
        ("NRE", "__name__", "up|temp.*", 32),
        ("EQ", "realm", "eu", 64),
        ("EQ", "realm", "us", 0),
        ("EQ", "job", "", 48),  # a missing label is an empty one
        ("NEQ", "job", "", 16),
        ("RE", "job", ".*", 64),
        ("RE", "job", ".+", 16),
    ],
)
def test_matchers(kind: str, name: str, value: str, count: int) -> None:
    assert len(EU_A.select(_request(_matcher(kind, name, value)))) == count


def test_an_expression_that_is_none_is_the_clients_fault() -> None:
    with pytest.raises(CallError) as caught:
        EU_A.select(_request(_matcher("RE", "job", "(")))
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_time_range_chooses_chunks_and_series() -> None:
    first_half = EU_A.select(_request(max_time=SHAPE.start + 1000))
    assert {len(series.chunks) for series in first_half} == {1}
    assert EU_A.select(_request(max_time=SHAPE.start - 1, min_time=0)) == []
    assert EU_A.select(_request(min_time=SHAPE.start + SPAN, max_time=SHAPE.start + SPAN)) == []


def test_skip_chunks_leaves_the_labels() -> None:
    series = EU_A.series[0]
    assert Series.parse(series.encoded(skip_chunks=True)) == Series(
        labels=[Label(name=name, value=value) for name, value in series.labels]
    )


def test_replica_label_is_left_out_and_the_order_kept() -> None:
    found = EU_A.select(_request(without_replica_labels=["replica", "instance"]))
    names = {name for series in found for name, _ in series.labels}
    assert "replica" not in names
    assert "instance" in names  # not an external label
    assert [series.labels for series in found] == sorted(series.labels for series in found)


def test_limit() -> None:
    assert len(EU_A.select(_request(limit=5))) == 5


def test_merged_replicas_share_what_is_identical_and_keep_what_is_not() -> None:
    request = _request(without_replica_labels=["replica"])
    found = merged([EU_A.select(request), EU_B.select(request)])
    assert len(found) == 64
    for series in found:
        is_up = dict(series.labels)["__name__"] == "up"
        assert len(series.chunks) == (2 if is_up else 4)
    assert len(merged([EU_A.select(_request()), EU_B.select(_request())])) == 128


def test_label_names_and_values() -> None:
    names = EU_A.label_names(LabelNamesRequest())
    assert names == sorted(["__name__", "instance", "realm", "replica", "handler", "pool", "sensor", "job"])
    assert "replica" not in EU_A.label_names(LabelNamesRequest(without_replica_labels=["replica"]))
    assert EU_A.label_values(LabelValuesRequest(label="replica")) == ["a"]
    assert EU_A.label_values(LabelValuesRequest(label="replica", without_replica_labels=["replica"])) == []
    jobs = LabelValuesRequest(label="job", matchers=[_matcher("EQ", "__name__", "up")], limit=3)
    assert EU_A.label_values(jobs) == ["job-0", "job-1", "job-2"]
    assert EU_A.label_values(LabelValuesRequest(label="job", start=1, end=2)) == []


def test_chunks_of_a_given_size() -> None:
    found = Dataset("eu", "a", Shape(series=4, chunk_bytes=5000)).series
    assert {len(chunk.data) for series in found for chunk in series.chunks} == {5000}
