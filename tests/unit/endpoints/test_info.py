import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.endpoints.info import UNKNOWN_COMPONENT, parse_info
from app.endpoints.model import MAX_TIME, MIN_TIME, Api, EndpointInfo, TsdbInfo
from app.pb.thanos import Label, ZLabelSet
from app.pb.thanos.info import (
    ExemplarsInfo,
    InfoResponse,
    MetricMetadataInfo,
    QueryApiInfo,
    RulesInfo,
    StatusInfo,
    StoreInfo,
    TargetsInfo,
)
from app.pb.thanos.info import TsdbInfo as TsdbInfoMessage


def zlabels(**labels: str) -> ZLabelSet:
    return ZLabelSet(labels=[Label(name=name, value=value) for name, value in labels.items()])


FULL = InfoResponse(
    label_sets=[zlabels(zone="b", cluster="eu"), zlabels(), zlabels(cluster="eu", zone="a")],
    component_type="sidecar",
    store=StoreInfo(
        min_time=-5,
        max_time=7,
        supports_sharding=True,
        supports_without_replica_labels=True,
        tsdb_infos=[TsdbInfoMessage(labels=zlabels(b="2", a="1"), min_time=1, max_time=2), TsdbInfoMessage()],
    ),
    rules=RulesInfo(),
    metric_metadata=MetricMetadataInfo(),
    targets=TargetsInfo(),
    exemplars=ExemplarsInfo(min_time=1, max_time=2),
    query=QueryApiInfo(),
    status=StatusInfo(),
)


def test_a_full_answer() -> None:
    assert parse_info(bytes(FULL)) == EndpointInfo(
        component="sidecar",
        label_sets=((("cluster", "eu"), ("zone", "a")), (("cluster", "eu"), ("zone", "b"))),
        min_time=-5,
        max_time=7,
        apis=frozenset(Api),
        supports_sharding=True,
        supports_without_replica_labels=True,
        tsdb_infos=(TsdbInfo((("a", "1"), ("b", "2")), 1, 2), TsdbInfo((), 0, 0)),
    )


def test_without_a_store_the_times_are_everything() -> None:
    info = parse_info(bytes(InfoResponse(component_type="rule", rules=RulesInfo())))
    assert (info.min_time, info.max_time, info.apis) == (MIN_TIME, MAX_TIME, frozenset({Api.RULES}))
    assert info.label_sets == ()


def test_extreme_times_survive() -> None:
    info = parse_info(bytes(InfoResponse(store=StoreInfo(min_time=MIN_TIME, max_time=MAX_TIME))))
    assert (info.min_time, info.max_time) == (MIN_TIME, MAX_TIME)


@pytest.mark.parametrize("component", ["query", "rule", "sidecar", "store", "receive", "debug"])
def test_components_that_thanos_knows(component: str) -> None:
    assert parse_info(bytes(InfoResponse(component_type=component))).component == component


@pytest.mark.parametrize("component", ["", "compact", "Sidecar"])
def test_components_that_thanos_does_not_know(component: str) -> None:
    assert parse_info(bytes(InfoResponse(component_type=component))).component == UNKNOWN_COMPONENT


def test_unknown_fields_are_no_fault() -> None:
    assert parse_info(bytes(FULL) + b"\xa2\x06\x03abc\xa8\x06\x05\xb5\x06abcd") == parse_info(bytes(FULL))


@pytest.mark.parametrize(
    "raw",
    [
        b"\x12\x09sidecar",  # the string is longer than the message
        b"\x12",
        b"\x0a\x05\x0a\x0a\x0a\x01a",  # a label set that ends outside of itself
        b"\x1a\x02\x08\x80",  # a number that does not end
        b"\x08\x01",  # label_sets as a number
        b"\x1a\x02\x0a\x00",  # min_time as bytes
        b"\x00\x01",
        b"\x0f",
        b"\x12\x02\xff\xfe",  # not UTF-8
        b"\x80" * 11,
        b"<html>404 not found</html>",
    ],
)
def test_broken_answers_say_so(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not an InfoResponse"):
        parse_info(raw)


def test_every_cut_inside_a_field_is_noticed() -> None:
    raw = bytes(InfoResponse(component_type="sidecar"))
    for end in range(1, len(raw)):
        with pytest.raises(ValueError, match="not an InfoResponse"):
            parse_info(raw[:end])


@given(st.binary(max_size=200))
def test_garbage_is_parsed_or_refused_but_nothing_else(raw: bytes) -> None:
    try:
        parse_info(raw)
    except ValueError as error:
        assert "not an InfoResponse" in str(error)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_flipped_byte_is_parsed_or_refused_but_nothing_else(place: int, byte: int) -> None:
    raw = bytearray(bytes(FULL))
    raw[place % len(raw)] = byte
    try:
        parse_info(bytes(raw))
    except ValueError as error:
        assert "not an InfoResponse" in str(error)
