"""Chunks of native histograms written from the format alone, for what Prometheus itself would not write."""

import struct
from collections.abc import Sequence

_WIDTHS = (3, 6, 9, 12, 18, 25, 56)


class BitWriter:
    """Mutable: the bits so far, as text: slow, and obviously right."""

    def __init__(self) -> None:
        self._bits = ""

    def put(self, value: int, width: int) -> None:
        self._bits += f"{value % (1 << width):0{width}b}" if width else ""

    def float(self, value: float) -> None:
        self.put(int.from_bytes(struct.pack(">d", value), "big"), 64)

    def _field(self, value: int, ones: int) -> None:
        self._bits += "1" * (ones + 1) + "0"
        self.put(value, _WIDTHS[ones])

    def unsigned(self, value: int) -> None:
        if value == 0:
            self._bits += "0"
            return
        for ones, width in enumerate(_WIDTHS):
            if value < 1 << width:
                self._field(value, ones)
                return
        self._bits += "1" * 8
        self.put(value, 64)

    def signed(self, value: int) -> None:
        if value == 0:
            self._bits += "0"
            return
        for ones, width in enumerate(_WIDTHS):
            if -(1 << width - 1) < value <= 1 << width - 1:
                self._field(value, ones)
                return
        self._bits += "1" * 8
        self.put(value, 64)

    def data(self) -> bytes:
        padded = self._bits + "0" * (-len(self._bits) % 8)
        return int(padded, 2).to_bytes(len(padded) // 8, "big") if padded else b""


def chunk(
    *,
    number: int = 1,
    flags: int = 0,
    schema: int = 0,
    positive: Sequence[tuple[int, int]] = (),
    negative: Sequence[tuple[int, int]] = (),
    threshold: float | None = None,
    bounds: Sequence[float] | None = None,
    time: int = 1000,
    counts: Sequence[int] = (),
) -> bytes:
    """A chunk of integers with one sample.

    :param number: what the header says.
    :param positive: spans, as offset and length.
    :param threshold: of the zero bucket; None: zero, in its short form.
    :param counts: differences of the buckets.
    """
    bits = BitWriter()
    bits.put(0 if threshold is None else 255, 8)
    if threshold is not None:
        bits.float(threshold)
    bits.signed(schema)
    for spans in (positive, negative):
        bits.unsigned(len(spans))
        for offset, length in spans:
            bits.unsigned(length)
            bits.signed(offset)
    if bounds is not None:
        bits.unsigned(len(bounds))
        for bound in bounds:
            bits.unsigned(0)
            bits.float(bound)
    bits.signed(time)
    bits.unsigned(sum(counts))
    bits.unsigned(0)
    bits.float(float(sum(counts)))
    for count in counts:
        bits.signed(count)
    return struct.pack(">HB", number, flags) + bits.data()
