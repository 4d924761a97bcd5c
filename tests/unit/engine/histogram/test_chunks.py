"""Chunks that Prometheus wrote are read; what nobody wrote is refused."""

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.histogram.bitstream import BitReader
from app.engine.histogram.chunks import decode_histogram_chunk
from app.engine.histogram.model import CUSTOM_SCHEMA, ResetHint
from tests.unit.engine.histogram.chunk_writer import BitWriter, chunk
from tests.unit.engine.histogram.vectors import assert_same, histogram, load

WRITTEN = load("chunks.jsonl")


def _payload(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["chunk"])


@pytest.mark.parametrize("case", WRITTEN, ids=range(len(WRITTEN)))
def test_prometheus_chunks(case: dict[str, Any]) -> None:
    samples = decode_histogram_chunk(_payload(case), floats=case["float"])
    assert [time for time, _ in samples] == [sample["t"] for sample in case["out"]]
    for (_, found), expected in zip(samples, case["out"], strict=True):
        if expected["h"] is None:
            assert found is None
        else:
            assert found is not None
            assert_same(found, histogram(expected["h"]))


@pytest.mark.parametrize("case", WRITTEN, ids=range(len(WRITTEN)))
def test_a_chunk_cut_short_is_refused(case: dict[str, Any]) -> None:
    data = _payload(case)
    for length in range(len(data)):
        with pytest.raises(ValueError, match="chunk"):
            decode_histogram_chunk(data[:length], floats=case["float"])


@given(st.data())
def test_a_damaged_chunk_is_read_or_refused(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(WRITTEN))
    payload = bytearray(_payload(case))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    _read_or_refuse(bytes(payload), floats=data.draw(st.booleans()))


@given(st.binary(max_size=200), st.booleans())
def test_noise_is_read_or_refused(data: bytes, floats: bool) -> None:
    _read_or_refuse(data, floats=floats)


def _read_or_refuse(data: bytes, *, floats: bool) -> None:
    try:
        samples = decode_histogram_chunk(data, floats=floats)
    except ValueError:
        return
    assert len(samples) == int.from_bytes(data[:2], "big")


def test_no_samples() -> None:
    assert decode_histogram_chunk(bytes(3), floats=False) == []


@pytest.mark.parametrize("flags", [0b00, 0b01, 0b10])
def test_a_first_sample_says_nothing_of_resets(flags: int) -> None:
    ((time, h),) = decode_histogram_chunk(chunk(flags=flags << 6), floats=False)
    assert h is not None
    assert (time, h.reset_hint) == (1000, ResetHint.UNKNOWN)


def test_a_gauge() -> None:
    ((_, h),) = decode_histogram_chunk(chunk(flags=0b11 << 6), floats=False)
    assert h is not None
    assert h.reset_hint is ResetHint.GAUGE


def test_empty_buckets_are_left_out() -> None:
    data = chunk(positive=[(-1, 2), (3, 1)], counts=[5, -5, 2])
    ((_, h),) = decode_histogram_chunk(data, floats=False)
    assert h is not None
    assert h.positive == {-1: 5, 4: 2}


def test_a_resolution_of_the_future_is_reduced() -> None:
    data = chunk(schema=9, flags=0b11 << 6, positive=[(1, 3)], counts=[1, 1, 1])
    ((_, h),) = decode_histogram_chunk(data, floats=False)
    assert h is not None
    assert (h.schema, h.positive, h.reset_hint) == (8, {1: 3, 2: 3}, ResetHint.GAUGE)


def test_custom_bounds() -> None:
    data = chunk(schema=CUSTOM_SCHEMA, positive=[(0, 3)], counts=[1, 1, 1], bounds=[-1.5, 2.0])
    ((_, h),) = decode_histogram_chunk(data, floats=False)
    assert h is not None
    assert (h.custom_values, h.positive) == ((-1.5, 2.0), {0: 1, 1: 2, 2: 3})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no header"),
        (chunk(schema=53), "unknown schema"),
        (chunk(schema=-10), "unknown schema"),
        (chunk(threshold=math.nan), "zero threshold"),
        (chunk(threshold=-1.0), "zero threshold"),
        (chunk(positive=[(0, 1 << 40)]), "span"),
        (chunk(positive=[(0, 1), (-3, 1)], counts=[1, 1]), "span"),
        (chunk(positive=[(1 << 31, 1)], counts=[1]), "span"),
        (chunk(schema=CUSTOM_SCHEMA, positive=[(0, 3)], counts=[1, 1, 1], bounds=[1.0]), "outside"),
        (chunk(schema=CUSTOM_SCHEMA, positive=[(-1, 1)], counts=[1], bounds=[1.0]), "outside"),
        (chunk(schema=CUSTOM_SCHEMA, negative=[(0, 1)], counts=[1], bounds=[1.0]), "outside"),
        (chunk(schema=CUSTOM_SCHEMA, bounds=[2.0, 1.0]), "do not rise"),
        (chunk(schema=CUSTOM_SCHEMA, bounds=[math.inf]), "do not rise"),
        (chunk(number=65535), "middle of a sample"),
    ],
)
def test_malformed_chunks_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode_histogram_chunk(data, floats=False)


def test_a_float_of_more_bits_than_there_are_is_refused() -> None:
    bits = BitWriter()
    bits.put(0, 8)
    for _ in range(3):
        bits.signed(0)
    bits.signed(1000)
    for _ in range(3):
        bits.float(1.0)
    bits.signed(0)
    bits.put(0b11, 2)
    bits.put(31, 5)
    bits.put(63, 6)
    bits.put(0, 64)
    with pytest.raises(ValueError, match="64 bits"):
        decode_histogram_chunk(struct.pack(">HB", 2, 0) + bits.data(), floats=True)


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_signed_integers(value: int) -> None:
    bits = BitWriter()
    bits.signed(value)
    assert BitReader(bits.data()).signed() == value


@given(st.integers(0, (1 << 64) - 1))
def test_unsigned_integers(value: int) -> None:
    bits = BitWriter()
    bits.unsigned(value)
    assert BitReader(bits.data()).unsigned() == value
