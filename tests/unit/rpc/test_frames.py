import pytest
from hyperframe.frame import Frame, GoAwayFrame, RstStreamFrame, WindowUpdateFrame

from app.rpc import frames


def parsed(data: bytes) -> Frame:
    frame, length = Frame.parse_frame_header(memoryview(data)[:9])
    frame.parse_body(memoryview(data)[9 : 9 + length])
    assert len(data) == 9 + length
    return frame


def test_frames_are_what_hyperframe_reads() -> None:
    goaway = parsed(frames.goaway(frames.MAX_STREAM_ID, 11, b"age"))
    assert isinstance(goaway, GoAwayFrame)
    assert (goaway.last_stream_id, goaway.error_code, goaway.additional_data) == (2**31 - 1, 11, b"age")
    update = parsed(frames.window_update(7, 65_536))
    assert isinstance(update, WindowUpdateFrame)
    assert (update.stream_id, update.window_increment) == (7, 65_536)
    reset = parsed(frames.rst_stream(9, 8))
    assert isinstance(reset, RstStreamFrame)
    assert (reset.stream_id, reset.error_code) == (9, 8)


@pytest.mark.parametrize("length", [0, 1, 65_535, 65_536, 2**24 - 1])
def test_headers_hold_any_length(length: int) -> None:
    frame, found = Frame.parse_frame_header(memoryview(frames.frame_header(length, 0, 1, 5)))
    assert (found, frame.stream_id, frame.type, "END_STREAM" in frame.flags) == (length, 5, 0, True)
