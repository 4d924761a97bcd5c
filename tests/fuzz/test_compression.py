"""Whatever a peer calls compressed: read, or refused with a reason, and never larger than the limit."""

import gzip

import cramjam
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import CallError
from app.rpc.compression import GZIP, SNAPPY, decompressed

LIMIT = 10_000


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A message that was compressed, with a few bytes that are others; or anything."""
    encoding = draw(st.sampled_from([SNAPPY, GZIP]))
    message = draw(st.binary(max_size=200)) * draw(st.sampled_from([1, 40, 400]))
    content = bytearray(cramjam.snappy.compress(message) if encoding == SNAPPY else gzip.compress(message))
    for _ in range(draw(st.integers(0, 3))):
        if content:
            content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(content)))
    return encoding, draw(
        st.sampled_from([bytes(content), bytes(content[:cut]), draw(st.binary(max_size=60))])
    )


@settings(max_examples=500, deadline=None)
@given(given_=damaged())
def test_anything_is_read_or_refused(given_: tuple[str, bytes]) -> None:
    encoding, content = given_
    try:
        message = decompressed(memoryview(content), encoding, LIMIT)
    except CallError as error:
        assert error.message
    else:
        assert len(message) <= LIMIT
