"""Compressed messages: read back whatever they were, refused when they are none or too large."""

import gzip
import itertools
import zlib

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import CallError, Code
from app.rpc.compression import GZIP, IDENTITY, SNAPPY, Recompressor, blocks, compressed, decompressed, known

MESSAGES = (b"", b"x", b"abc" * 50_000, bytes(range(256)) * 1000)


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def content(frame: bytes) -> memoryview:
    assert frame[0] == 1
    assert int.from_bytes(frame[1:5], "big") == len(frame) - 5
    return memoryview(frame)[5:]


@pytest.mark.parametrize("encoding", [SNAPPY, GZIP])
@pytest.mark.parametrize("message", MESSAGES, ids=len)
def test_messages_come_back(encoding: str, message: bytes) -> None:
    assert decompressed(content(compressed(message, encoding)), encoding, len(message)) == message


def test_what_other_programs_write_is_read() -> None:
    # golang/snappy: a writer that was given "hello" and closed.
    stored = b"\xff\x06\x00\x00sNaPpY" + b"\x01\x09\x00\x00\xbb\x1f\x1c\x19hello"
    assert decompressed(memoryview(stored), SNAPPY, 100) == b"hello"
    assert decompressed(memoryview(gzip.compress(b"hello", mtime=0)), GZIP, 100) == b"hello"
    assert decompressed(memoryview(b""), SNAPPY, 100) == b""  # what it writes when it was given nothing


@pytest.mark.parametrize("encoding", [SNAPPY, GZIP])
def test_a_message_that_grows_beyond_the_limit_is_refused(encoding: str) -> None:
    bomb = content(compressed(bytes(5_000_000), encoding))
    with pytest.raises(CallError, match="larger than the limit of 4000000") as caught:
        decompressed(bomb, encoding, 4_000_000)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED


def test_a_snappy_chunk_that_lies_about_its_size_is_refused() -> None:
    raw = bytes(cramjam.snappy.compress_raw(bytes(100)))
    lying = b"\xff\xff\xff\xff\x0f" + raw[1:]  # says 4 GiB
    chunk = b"\x00" + (len(lying) + 4).to_bytes(3, "little") + bytes(4) + lying
    with pytest.raises(CallError, match="larger than the format allows"):
        decompressed(memoryview(b"\xff\x06\x00\x00sNaPpY" + chunk), SNAPPY, 1 << 40)


@pytest.mark.parametrize(
    ("encoding", "broken"),
    [
        (SNAPPY, b"x"),
        (SNAPPY, b"\xff\x06\x00\x00sNaPpX"),
        (SNAPPY, b"\xff\x06\x00\x00sNaPpY\x01\x09\x00\x00\x00\x00\x00\x00hello"),  # another checksum
        (SNAPPY, b"\xff\x06\x00\x00sNaPpY\x01\x09\x00"),
        (SNAPPY, b"\xff\x06\x00\x00sNaPpY\x02\x01\x00\x00x"),
        (GZIP, b"hello"),
        (GZIP, gzip.compress(b"hello", mtime=0)[:-1]),
        (GZIP, gzip.compress(b"hello", mtime=0) + b"more"),
        (GZIP, zlib.compress(b"hello")),
        (IDENTITY, b"hello"),
    ],
)
def test_what_is_no_compressed_message_is_refused(encoding: str, broken: bytes) -> None:
    with pytest.raises(CallError) as caught:
        decompressed(memoryview(broken), encoding, 1000)
    assert caught.value.code is Code.INTERNAL


def test_blocks_hold_plain_and_compressed_messages_side_by_side() -> None:
    block = bytearray(framed(b"one") + compressed(b"two", SNAPPY) + framed(b"") + compressed(b"", SNAPPY))
    assert b"".join(blocks(block, SNAPPY, 100)) == b"".join(map(framed, (b"one", b"two", b"", b"")))


def test_blocks_do_not_hold_more_than_they_should() -> None:
    block = bytearray(compressed(bytes(400_000), SNAPPY) * 10)
    sizes = [len(each) for each in blocks(block, SNAPPY, 1 << 20)]
    assert sizes == [2 * 400_005] * 5


@settings(max_examples=100, deadline=None)
@given(
    messages=st.lists(st.binary(max_size=50), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    encoding=st.sampled_from([SNAPPY, GZIP]),
)
def test_framed_messages_cut_anywhere_are_compressed_one_by_one(
    messages: list[bytes], cuts: list[int], encoding: str
) -> None:
    whole = b"".join(map(framed, messages))
    bounds = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    recompressor = Recompressor(encoding)
    out = [
        frame for start, end in itertools.pairwise(bounds) for frame in recompressor.feed(whole[start:end])
    ]
    assert [decompressed(content(frame), encoding, 100) for frame in out] == messages


def test_what_is_known() -> None:
    assert all(known(encoding) for encoding in ("", IDENTITY, SNAPPY, GZIP))
    assert not known("br")
