"""Prometheus XOR chunks read back, by a decoder written from the format alone: slow, and obviously right."""

import struct


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self.position = 0

    def take(self, width: int) -> int:
        text = self._bits[self.position : self.position + width]
        assert len(text) == width, "the chunk ends too early"
        self.position += width
        return int(text, 2) if width else 0

    def uvarint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(8)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    @property
    def left(self) -> str:
        return self._bits[self.position :]


def _signed(value: int, width: int) -> int:
    return value - (1 << width) if value > 1 << width - 1 else value


def _distance_change(bits: _Reader) -> int:
    if bits.take(1) == 0:
        return 0
    for width in (14, 17, 20):
        if bits.take(1) == 0:
            return _signed(bits.take(width), width)
    return _signed(bits.take(64), 64)


def decode(chunk: bytes, *, growing: bool = False) -> list[tuple[int, float]]:
    """The samples of a chunk.

    :param growing: it may have been copied while a sample was appended, whose bits are there already and
        which the count does not include yet.
    """
    count = int.from_bytes(chunk[:2], "big")
    bits = _Reader(chunk[2:])
    raw = bits.uvarint()
    time, distance = (raw >> 1) ^ -(raw & 1), 0
    value, leading, trailing = bits.take(64), 0, 0
    samples = []
    for number in range(count):
        if number:
            distance = bits.uvarint() if number == 1 else distance + _distance_change(bits)
            time += distance
            if bits.take(1):
                if bits.take(1):
                    leading = bits.take(5)
                    trailing = 64 - leading - (bits.take(6) or 64)
                value ^= bits.take(64 - leading - trailing) << trailing
        samples.append((time, struct.unpack(">d", struct.pack(">Q", value))[0]))
    assert growing or (len(bits.left) < 8 and "1" not in bits.left)
    return samples
