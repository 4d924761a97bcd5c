"""The chunks are read back with a decoder written from the format alone."""

import math
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.demo import xor
from tests.harness.xor import decode


def _same(left: float, right: float) -> bool:
    return struct.pack(">d", left) == struct.pack(">d", right)


def _check(samples: list[tuple[int, float]]) -> None:
    found = decode(xor.encode(samples))
    assert [time for time, _ in found] == [time for time, _ in samples]
    assert all(_same(left, right) for (_, left), (_, right) in zip(found, samples, strict=True))


@given(
    st.integers(-(2**50), 2**50),
    st.lists(
        st.tuples(
            st.one_of(st.just(15_000), st.integers(1, 40_000), st.integers(1, 2**40)),
            st.floats(allow_nan=True, allow_infinity=True),
        ),
        min_size=1,
        max_size=150,
    ),
)
def test_any_samples_come_back(start: int, steps: list[tuple[int, float]]) -> None:
    samples = []
    for distance, value in steps:
        start += distance
        samples.append((start, value))
    _check(samples)


@pytest.mark.parametrize(
    "change", [edge + near for width in (14, 17, 20) for edge in (1 << width - 1,) for near in (-1, 0, 1, 2)]
)
def test_distance_changes_at_the_edges_of_each_form(change: int) -> None:
    base = 2**21
    times = [0, base, 2 * base + change, 3 * base]
    _check([(time, 1.0) for time in times])


def test_a_full_chunk_of_a_slow_counter_is_small() -> None:
    dice = random.Random(1)
    value = 0.0
    samples = []
    for number in range(xor.SAMPLES_PER_CHUNK):
        value += dice.randrange(3)
        samples.append((number * 15_000, value))
    assert len(xor.encode(samples)) < 300
    _check(samples)


def test_stale_marker_and_window_of_64_bits() -> None:
    stale = struct.unpack(">d", struct.pack(">Q", 0x7FF0000000000002))[0]
    _check([(1, 0.0), (2, stale), (3, -math.pi), (4, struct.unpack(">d", b"\x80" + b"\0" * 6 + b"\1")[0])])


def test_known_bytes() -> None:
    # 2 samples 15 s apart with the same value: count, zigzag 1000, the float, 15000, one zero bit.
    expected = bytes.fromhex("0002d00f3ff0000000000000987500")
    assert xor.encode([(1000, 1.0), (16_000, 1.0)]) == expected


@pytest.mark.parametrize("samples", [[], [(5, 1.0), (5, 2.0)], [(5, 1.0), (4, 2.0)]])
def test_what_is_no_chunk_is_refused(samples: list[tuple[int, float]]) -> None:
    with pytest.raises(ValueError, match="sample"):
        xor.encode(samples)
