"""Words and ranges of bytes, by compiled code and by numpy."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.kernels.bits import copy_bytes, load_be64, load_le64
from app.kernels.jit import kernel
from app.kernels.xxh64 import xxh64

DATA = np.arange(1, 65, dtype=np.uint8)


Bytes = NDArray[np.uint8]


@kernel
def _words(data: Bytes, at: int) -> Any:
    return load_be64(data, at), load_le64(data, at)  # type: ignore[no-untyped-call]


@kernel
def _copied(out: Bytes, at: int, data: Bytes, start: int, size: int) -> None:
    copy_bytes(out, at, data, start, size)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("at", [0, 1, 7, 56])
def test_words_begin_anywhere(at: int) -> None:
    big, little = _words(DATA, at)
    word = DATA[at : at + 8].tobytes()
    assert (int(big), int(little)) == (int.from_bytes(word, "big"), int.from_bytes(word, "little"))


@pytest.mark.parametrize(("at", "start", "size"), [(0, 0, 64), (3, 5, 17), (63, 63, 1), (9, 9, 0)])
def test_ranges_are_copied_and_nothing_beside_them(at: int, start: int, size: int) -> None:
    out = np.zeros(64, np.uint8)
    _copied(out, at, DATA, start, size)
    expected = np.zeros(64, np.uint8)
    expected[at : at + size] = DATA[start : start + size]
    assert (out == expected).all()


def test_the_hash_is_that_of_the_specification() -> None:
    """Of "" and "a", and of texts around the 32 bytes of a round: as the reference program prints them."""
    known = {b"": 0xEF46DB3751D8E999, b"a": 0xD24EC4F1A98C6E5B, b"abc": 0x44BC2CF5AD770999}
    for text, digest in known.items():
        assert int(xxh64(np.frombuffer(text, np.uint8), 0, len(text))) == digest
