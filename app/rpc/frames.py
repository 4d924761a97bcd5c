"""HTTP/2 frames written and read past h2, for the two things that h2 is too slow or too strict for.

DATA frames make up nearly all of the traffic; and h2 refuses to send anything after a GOAWAY. Layouts are
those of RFC 9113, section 6.
"""

import struct

HEADER_SIZE = 9
DATA, RST_STREAM, PING, GOAWAY, WINDOW_UPDATE = 0x0, 0x3, 0x6, 0x7, 0x8
END_STREAM, PADDED = 0x1, 0x8
MAX_STREAM_ID = 2**31 - 1
MAX_WINDOW = 2**31 - 1

_HEADER = struct.Struct(">BHBBL")
_GOAWAY = struct.Struct(">LL")


def frame_header(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    """The nine bytes before a frame's payload. `length` in bytes, below 2^24."""
    return _HEADER.pack(length >> 16, length & 0xFFFF, kind, flags, stream_id)


def goaway(last_stream_id: int, error_code: int, reason: bytes) -> bytes:
    """A GOAWAY frame: streams above `last_stream_id` were not and will not be processed."""
    payload = _GOAWAY.pack(last_stream_id, error_code) + reason
    return frame_header(len(payload), GOAWAY, 0, 0) + payload


def window_update(stream_id: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection. `increment` in bytes, 1 to 2^31-1."""
    return frame_header(4, WINDOW_UPDATE, 0, stream_id) + increment.to_bytes(4, "big")


def rst_stream(stream_id: int, error_code: int) -> bytes:
    """A RST_STREAM frame."""
    return frame_header(4, RST_STREAM, 0, stream_id) + error_code.to_bytes(4, "big")
