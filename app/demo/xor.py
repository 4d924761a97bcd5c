"""Prometheus XOR chunks, written: what a real store would send, so that what reads them meets real bytes.

The format is Prometheus's (tsdb/chunkenc/xor.go): a big-endian sample count, then bits. Timestamps are
written as the change of their distance, values as the XOR with the one before, within a window of
significant bits that is kept while it fits.
"""

import struct
from collections.abc import Iterable

SAMPLES_PER_CHUNK = 120
_MAX_SAMPLES = 2**16 - 1
_MASK_64 = 2**64 - 1
# A leading-zero count is written in five bits.
_MAX_LEADING = 31

# (bits of the value, prefix, bits of the prefix), the first that fits is used.
_DISTANCE_FORMS = ((14, 0b10, 2), (17, 0b110, 3), (20, 0b1110, 4))


class _Bits:
    """Mutable: what was written so far, which only `put` adds to."""

    def __init__(self) -> None:
        self._value = 0
        self._length = 0

    def put(self, value: int, width: int) -> None:
        self._value = self._value << width | value
        self._length += width

    def put_uvarint(self, value: int) -> None:
        while value > 0x7F:
            self.put(value & 0x7F | 0x80, 8)
            value >>= 7
        self.put(value, 8)

    def to_bytes(self) -> bytes:
        size = (self._length + 7) // 8
        return (self._value << size * 8 - self._length).to_bytes(size, "big")


def _float_bits(value: float) -> int:
    return int.from_bytes(struct.pack(">d", value), "big")


class _Values:
    """Mutable: the last value and the window of significant bits, both changed by `put` alone."""

    def __init__(self, bits: _Bits, first: float) -> None:
        self._bits = bits
        self._last = _float_bits(first)
        self._window: tuple[int, int] | None = None  # leading, trailing zeros
        bits.put(self._last, 64)

    def put(self, value: float) -> None:
        new = _float_bits(value)
        delta = self._last ^ new
        self._last = new
        if delta == 0:
            self._bits.put(0, 1)
            return
        leading = min(64 - delta.bit_length(), _MAX_LEADING)
        trailing = (delta & -delta).bit_length() - 1
        if self._window is not None and leading >= self._window[0] and trailing >= self._window[1]:
            kept_leading, kept_trailing = self._window
            self._bits.put(0b10, 2)
            self._bits.put(delta >> kept_trailing, 64 - kept_leading - kept_trailing)
            return
        self._window = (leading, trailing)
        significant = 64 - leading - trailing
        self._bits.put(0b11, 2)
        self._bits.put(leading, 5)
        self._bits.put(significant & 0x3F, 6)  # 64 is written as 0
        self._bits.put(delta >> trailing, significant)


def _put_distance_change(bits: _Bits, change: int) -> None:
    if change == 0:
        bits.put(0, 1)
        return
    for width, prefix, prefix_width in _DISTANCE_FORMS:
        half = 1 << width - 1
        if 1 - half <= change <= half:
            bits.put(prefix, prefix_width)
            bits.put(change & (1 << width) - 1, width)
            return
    bits.put(0b1111, 4)
    bits.put(change & _MASK_64, 64)


def encode(samples: Iterable[tuple[int, float]]) -> bytes:
    """One chunk.

    :param samples: (milliseconds since the epoch, value), ascending in time; 1 to 65,535 of them.
    :raises ValueError: there are none, too many, or one is not later than the one before.
    """
    bits = _Bits()
    values: _Values | None = None
    count = last_time = last_distance = 0
    for time, value in samples:
        if values is None:
            bits.put_uvarint((time << 1 ^ time >> 63) & _MASK_64)
            values = _Values(bits, value)
        else:
            distance = time - last_time
            if distance <= 0:
                raise ValueError(f"sample {count} at {time} ms is not later than the one before")
            if count == 1:
                bits.put_uvarint(distance)
            else:
                _put_distance_change(bits, distance - last_distance)
            values.put(value)
            last_distance = distance
        last_time = time
        count += 1
    if not 0 < count <= _MAX_SAMPLES:
        raise ValueError(f"a chunk holds 1 to {_MAX_SAMPLES} samples, not {count}")
    return count.to_bytes(2, "big") + bits.to_bytes()
