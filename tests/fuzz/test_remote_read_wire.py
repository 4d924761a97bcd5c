"""Whatever comes instead of a remote read: translated, or refused with a reason."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import CallError
from app.sidecar.translation import Translation, TranslationOptions
from tests.unit.sidecar.frames import Chunk, chunked_series, framed, messages

OPTIONS = TranslationOptions(external=(("m", "x"),), without=("replica",), batch=8)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Frames whose checksums are right, and whose messages are anything."""
    content = b""
    for number in range(draw(st.integers(0, 4))):
        labels = {"a": str(number), "replica": draw(st.sampled_from(["", "1"]))}
        chunk = Chunk(draw(st.integers(-5, 5)), 9, draw(st.binary(max_size=20)), draw(st.integers(0, 5)))
        series = chunked_series(labels, [chunk])
        message = bytearray(b"\x0a" + bytes([len(series)]) + series)
        for _ in range(draw(st.integers(0, 2))):
            message[draw(st.integers(0, len(message) - 1))] = draw(st.integers(0, 255))
        content += framed(bytes(message))
    return content + draw(st.sampled_from([b"", draw(st.binary(max_size=30))]))


@settings(max_examples=500, deadline=None)
@given(content=damaged(), step=st.sampled_from([7, 1000]))
def test_anything_is_translated_or_refused(content: bytes, step: int) -> None:
    translation = Translation(OPTIONS)
    out = bytearray()
    try:
        for at in range(0, len(content), step):
            translation.add(content[at : at + step])
            for each in translation.translated(final=False):
                out += each
        for each in translation.translated(final=True):
            out += each
    except CallError as error:
        assert error.message
    # Labels that are no UTF-8 go on as they came; whoever reads them as text finds that out.
    with contextlib.suppress(UnicodeDecodeError):
        messages(bytes(out))
