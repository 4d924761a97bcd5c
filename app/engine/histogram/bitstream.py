"""Bits read from a chunk of Prometheus's: varbit integers and XOR-coded floats (tsdb/chunkenc)."""

import struct

_FIELD = (0, 3, 6, 9, 12, 18, 25, 56, 64)
"""How wide an integer is, by the number of ones before it."""


class BitReader:
    """Mutable: the position, in bits. Reading past the end raises ValueError, and never loops."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        """Bits not read yet."""
        return len(self._data) * 8 - self._position

    def take(self, width: int) -> int:
        """An unsigned integer of so many bits, up to 64."""
        end = self._position + width
        if end > len(self._data) * 8:
            raise ValueError("the chunk ends in the middle of a sample")
        window = int.from_bytes(self._data[self._position >> 3 : (end + 7) >> 3], "big")
        self._position = end
        return (window >> (-end & 7)) & ((1 << width) - 1)

    def float(self) -> float:
        """Eight bytes."""
        value: float = struct.unpack(">d", self.take(64).to_bytes(8, "big"))[0]
        return value

    def _field(self) -> int:
        ones = 0
        while ones < 8 and self.take(1):
            ones += 1
        return _FIELD[ones]

    def unsigned(self) -> int:
        """A varbit integer from 0 to 2**64 - 1."""
        return self.take(self._field())

    def signed(self) -> int:
        """A varbit integer of 64 bits; each width holds one more positive than negative number, but the
        widest."""
        width = self._field()
        value = self.take(width)
        if width == 64:
            return value - (1 << 64) if value >> 63 else value
        return value - (1 << width) if width and value > 1 << width - 1 else value


class XorFloat:
    """Mutable: a float that is stored as the difference of its bits to those of the one before."""

    __slots__ = ("_bits", "_leading", "_trailing", "value")

    def __init__(self, value: float) -> None:
        self.value = value
        self._bits = int.from_bytes(struct.pack(">d", value), "big")
        self._leading = 0
        self._trailing = 0

    def advance(self, reader: BitReader) -> float:
        """The next one."""
        if not reader.take(1):
            return self.value
        if reader.take(1):
            self._leading = reader.take(5)
            self._trailing = 64 - self._leading - (reader.take(6) or 64)
            if self._trailing < 0:
                raise ValueError("the chunk has a float of more than 64 bits")
        self._bits ^= reader.take(64 - self._leading - self._trailing) << self._trailing
        self.value = struct.unpack(">d", self._bits.to_bytes(8, "big"))[0]
        return self.value
