import pytest

from app.demo import wire
from app.pb.thanos import SeriesRequest


@pytest.mark.parametrize("value", [0, 1, 127, 128, 2**35, 2**63 - 1, -1, -(2**63)])
def test_varints_are_those_of_the_generated_code(value: int) -> None:
    assert wire.varint_field(1, value) == bytes(SeriesRequest(min_time=value))


def test_fields_come_back() -> None:
    data = wire.varint_field(3, 300) + wire.field(16, b"payload") + b"\x15abcd" + b"\x11abcdefgh"
    assert list(wire.fields(data)) == [(3, 300), (16, b"payload"), (2, b"abcd"), (2, b"abcdefgh")]


@pytest.mark.parametrize("data", [b"\x08", b"\x0a\x05ab", b"\x0a", b"\x0b", b"\x08" + b"\xff" * 11])
def test_bytes_that_are_no_message(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|exist|long"):
        list(wire.fields(data))


def test_frames_come_back() -> None:
    assert list(wire.unframed(wire.framed([b"", b"one", b"two"]))) == [b"", b"one", b"two"]


@pytest.mark.parametrize("data", [b"\1\0\0\0\0", b"\0\0\0\0\2a", b"\0\0"])
def test_frames_that_cannot_be_read(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"compressed|cut off"):
        list(wire.unframed(data))
