"""Series through the fan-out: the merge, partial response, what goes to the endpoints."""

from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from app.endpoints.model import EndpointView, State
from app.errors import CallError, Code
from app.fanout.fanout import Fanout
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions, RequestContext
from app.pb.thanos import (
    LabelMatcher,
    LabelMatcherType,
    LabelValuesRequest,
    LabelValuesResponse,
    PartialResponseStrategy,
    Series,
    SeriesRequest,
)
from tests.unit.fanout.answers import FakeChannel, FakeEndpoints, Received, batch, merged, plain, series, view

MATCHER = LabelMatcher(type=LabelMatcherType.EQ, name="__name__", value="up")
BROKEN = CallError(Code.UNAVAILABLE, "connection lost")
NAME = ("__name__", "up")


def _fanout(*views: EndpointView, options: FanoutOptions | None = None) -> Fanout:
    return Fanout(FakeEndpoints(*views), options or FanoutOptions(), FanoutMetrics(CollectorRegistry()))


def _ask(*views: EndpointView, request: SeriesRequest | None = None, extra: bytes = b"") -> Received:
    received = Received()
    asked = bytes(request or SeriesRequest(matchers=[MATCHER])) + extra
    anyio.run(_fanout(*views).series, asked, RequestContext(metadata={}, timeout=None), received.send)
    return received


def _answering(*answers: Sequence[bytes | CallError], supports: bool = True) -> list[EndpointView]:
    return [
        view(f"s{number}:1", FakeChannel(f"s{number}:1", blocks), supports=supports)
        for number, blocks in enumerate(answers)
    ]


_texts = st.text(alphabet="\0\x01ab\u00ff\U0001f600", max_size=4)
_labels = st.dictionaries(_texts, _texts, max_size=3).map(lambda found: tuple(sorted(found.items())))
_chunks = st.lists(
    st.tuples(st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=3)), max_size=4
)
_answers = st.lists(
    st.lists(st.builds(series, _labels, _chunks), max_size=8).map(
        lambda answer: sorted(answer, key=lambda each: plain(each)[0])
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(answers=_answers, size=st.sampled_from([0, 1, 2, 64]), split=st.integers(1, 4))
def test_any_answers_are_merged_as_the_twin_does(answers: list[list[Series]], size: int, split: int) -> None:
    blocks = [[batch(*answer[at : at + split]) for at in range(0, len(answer), split)] for answer in answers]
    got = _ask(*_answering(*blocks), request=SeriesRequest(matchers=[MATCHER], response_batch_size=size))
    assert [plain(found) for found in got.series] == merged(answers)
    assert got.warnings == []
    if size < 2:
        assert all(response.batch is None for response in got.responses)


def test_unsorted_series_of_one_block_are_sorted() -> None:
    found = [series((NAME, ("a", value))) for value in ("3", "1", "2")]
    got = _ask(*_answering([batch(*found)], [batch(series((NAME, ("a", "15"))))]))
    assert [dict(plain(each)[0])[b"a"] for each in got.series] == [b"1", b"15", b"2", b"3"]
    assert got.warnings == []


def test_a_series_that_comes_after_larger_ones_were_merged_fails_its_endpoint() -> None:
    late = [batch(series((NAME, ("a", "5")))), batch(series((NAME, ("a", "7"))), series((NAME, ("a", "6"))))]
    late.append(batch(series((NAME, ("a", "1")))))
    got = _ask(*_answering(late, [batch(series((NAME, ("a", "2"))))]))
    values = [dict(plain(each)[0])[b"a"] for each in got.series]
    assert values == sorted(values)
    assert len(got.warnings) == 1 and "eu/s0:1" in got.warnings[0] and "order" in got.warnings[0]


def test_replica_labels_are_taken_out_where_the_endpoint_does_not() -> None:
    answers = [
        [batch(series((("a", value), ("replica", name)), [(1, 2, b"x")])) for value in ("1", "2")]
        for name in ("r0", "r1")
    ]
    request = SeriesRequest(matchers=[MATCHER], without_replica_labels=["replica"])
    got = _ask(*_answering(*answers, supports=False), request=request)
    assert [plain(each) for each in got.series] == [
        (((b"a", value),), [(1, 2, b"x")]) for value in (b"1", b"2")
    ]


def test_a_failed_endpoint_is_a_warning_or_an_error() -> None:
    views = _answering([BROKEN], [batch(series((NAME,)))])
    got = _ask(*views)
    assert len(got.series) == 1
    assert got.warnings == ["receive series from eu/s0:1: UNAVAILABLE: connection lost"]
    strict = SeriesRequest(matchers=[MATCHER], partial_response_strategy=PartialResponseStrategy.ABORT)
    with pytest.raises(CallError, match="eu/s0:1") as raised:
        _ask(*views, request=strict)
    assert raised.value.code is Code.ABORTED


@pytest.mark.parametrize("garbage", [b"\0\0\0\0\x03\x0a\xff\xff", b"\x01\0\0\0\0", b"\0\0\0"])
def test_garbage_is_that_endpoints_failure(garbage: bytes) -> None:
    got = _ask(*_answering([garbage], [batch(series((NAME,)))]))
    assert len(got.series) == 1
    assert len(got.warnings) == 1 and "eu/s0:1" in got.warnings[0]


def test_a_broken_chunk_is_its_endpoints_failure() -> None:
    whole = batch(series((NAME,), [(1, 2, b"data")]))
    broken = whole[:-6] + b"\x12\x7f" + whole[-4:]  # the data claims more bytes than there are
    got = _ask(*_answering([broken], [whole]))
    assert [plain(each)[1] for each in got.series] == [[(1, 2, b"data")]]
    assert len(got.warnings) == 1 and "eu/s0:1" in got.warnings[0]


def test_unknown_fields_of_the_request_and_of_series_survive() -> None:
    unknown = b"\xfa\x3e\x03abc"  # field 1007
    found = bytes(series((NAME,))) + unknown
    (endpoint,) = _answering([b"\0" + (len(found) + 2).to_bytes(4, "big") + bytes([10, len(found)]) + found])
    got = _ask(endpoint, extra=unknown)
    assert unknown in got.data
    (request,) = endpoint.channel.requests  # type: ignore[attr-defined]
    assert unknown in request
    assert SeriesRequest.parse(request).response_batch_size == 64


def test_the_limit_cuts_the_merged_series() -> None:
    found = [series((NAME, ("a", str(number)))) for number in range(9)]
    got = _ask(*_answering([batch(*found)]), request=SeriesRequest(matchers=[MATCHER], limit=3))
    assert [plain(each) for each in got.series] == [plain(each) for each in found[:3]]


def test_an_unhealthy_endpoint_is_named() -> None:
    lost = view("lost:1", labels=(("cluster", "eu"), ("replica", "0")), state=State.UNHEALTHY)
    (warning,) = _ask(lost).warnings
    assert "eu/lost:1" in warning and "certificate expired" in warning
    replica = view("there:1", labels=(("cluster", "eu"), ("replica", "1")))
    request = SeriesRequest(matchers=[MATCHER], without_replica_labels=["replica"])
    assert _ask(lost, replica, request=request).warnings == []
    assert len(_ask(lost, replica).warnings) == 1


def test_no_endpoint_at_all_is_an_error_only_where_all_is_wanted() -> None:
    assert _ask().responses == []
    with pytest.raises(CallError, match="No StoreAPIs available"):
        _ask(request=SeriesRequest(matchers=[MATCHER], partial_response_disabled=True))


def test_a_bad_expression_is_named() -> None:
    bad = LabelMatcher(type=LabelMatcherType.RE, name="a", value="(b")
    with pytest.raises(CallError, match=r"\(b") as raised:
        _ask(request=SeriesRequest(matchers=[bad]))
    assert raised.value.code is Code.INVALID_ARGUMENT


def test_values_are_united_sorted_and_cut() -> None:
    answers = [bytes(LabelValuesResponse(values=values)) for values in (["c", "a"], ["b", "a"])]
    views = [view(f"s{n}:1", FakeChannel(f"s{n}:1", answer=answer)) for n, answer in enumerate(answers)]
    request = bytes(LabelValuesRequest(label="x", limit=2))
    answer = anyio.run(_fanout(*views).label_values, request, RequestContext(metadata={}, timeout=None))
    assert LabelValuesResponse.parse(answer).values == ["a", "b"]
