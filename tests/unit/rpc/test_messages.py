import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import CallError, Code
from app.pb.thanos import LabelMatcher, SeriesRequest
from app.rpc.messages import is_whole, parsed

WHOLE = bytes(
    SeriesRequest(min_time=-5, max_time=2**62, matchers=[LabelMatcher(name="a", value="b" * 200)], limit=3)
)
BOUNDARIES = {0, 11, 21, 21 + 3 + len(bytes(LabelMatcher(name="a", value="b" * 200))), len(WHOLE)}


@pytest.mark.parametrize("end", range(len(WHOLE) + 1))
def test_a_message_that_is_cut_is_refused_wherever_it_is_cut(end: int) -> None:
    assert is_whole(WHOLE[:end]) == (end in BOUNDARIES)


def test_what_a_client_sent_and_what_an_endpoint_sent() -> None:
    assert parsed(SeriesRequest, WHOLE).limit == 3
    for failure in (Code.INVALID_ARGUMENT, Code.INTERNAL):
        with pytest.raises(CallError, match="not a SeriesRequest") as caught:
            parsed(SeriesRequest, WHOLE[:-40], failure=failure)
        assert caught.value.code is failure


def test_unknown_fields_are_kept() -> None:
    assert bytes(parsed(SeriesRequest, WHOLE + b"\xfa\x3e\x03abc")).endswith(b"\xfa\x3e\x03abc")


@given(st.binary(max_size=64))
def test_anything_is_parsed_or_refused(data: bytes) -> None:
    try:
        parsed(SeriesRequest, data)
    except CallError as error:
        assert error.code is Code.INVALID_ARGUMENT
