"""Bits read from a chunk of Prometheus's: varbit integers and XOR-coded floats (tsdb/chunkenc)."""

import struct

_WIDTHS = (0, 3, 6, 9, 12, 18, 25, 56, 64)
"""How wide an integer is, by the number of ones before it, which a zero ends, unless they are eight."""
_WINDOW = 72
"""Bits that hold any integer but one of 64, wherever in a byte it begins."""


def _field(head: int) -> tuple[int, int, int]:
    ones = f"{head:08b}0".index("0")
    width = _WIDTHS[ones]
    # Every width but the widest holds one more positive number than negative ones.
    return min(ones + 1, 8), width, (1 << width - 1) - (width == 64) if width else 0


_FIELDS = tuple(map(_field, range(256)))
"""By the next eight bits: how many of them come before an integer, how wide it is, its highest value."""


class BitReader:
    """Mutable: the position, in bits. Reading past the end raises ValueError, and never loops."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = len(data) * 8
        self._padded = data + bytes(_WINDOW // 8)
        self._position = 0

    @property
    def left(self) -> int:
        """Bits not read yet."""
        return self._end - self._position

    def take(self, width: int) -> int:
        """An unsigned integer of so many bits, up to 64."""
        end = self._position + width
        if end > self._end:
            raise ValueError("the chunk ends in the middle of a sample")
        window = int.from_bytes(self._data[self._position >> 3 : (end + 7) >> 3], "big")
        self._position = end
        return (window >> (-end & 7)) & ((1 << width) - 1)

    def float(self) -> float:
        """Eight bytes."""
        value: float = struct.unpack(">d", self.take(64).to_bytes(8, "big"))[0]
        return value

    def unsigned(self) -> int:
        """A varbit integer from 0 to 2**64 - 1."""
        byte, start = divmod(self._position, 8)
        head = int.from_bytes(self._padded[byte : byte + 2], "big") >> (8 - start) & 0xFF
        before, width, _ = _FIELDS[head]
        self.take(before)
        return self.take(width)

    def signed(self) -> int:
        """A varbit integer of 64 bits."""
        return self.signed_many(1)[0]

    def signed_many(self, number: int) -> list[int]:
        """So many varbit integers of 64 bits."""
        found: list[int] = []
        position = self._position
        for _ in range(number):
            # One slice for prefix and integer: chunks have tens of thousands of them.
            byte, start = position >> 3, position & 7
            window = int.from_bytes(self._padded[byte : byte + _WINDOW // 8], "big")
            before, width, highest = _FIELDS[window >> (_WINDOW - 8 - start) & 0xFF]
            position += before + width
            if position > self._end:
                raise ValueError("the chunk ends in the middle of a sample")
            if width == 64:
                self._position = position - width
                value = self.take(width)
            else:
                value = window >> (_WINDOW - start - before - width) & ((1 << width) - 1)
            found.append(value if value <= highest else value - (1 << width))
        self._position = position
        return found


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
