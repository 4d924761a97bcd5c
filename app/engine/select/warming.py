"""Compiling the kernels: small series through all of them, with the types of the real ones."""

import numpy as np

from app.engine import kernels
from app.engine.model import Hints
from app.engine.select.asking import COUNTERS, aggregates
from app.engine.select.assembling import assemble
from app.engine.select.decode import decode
from app.engine.select.intake import Intake
from app.engine.select.odd import OddLane, Purpose, read_histograms
from app.fanout.wire import field, framed

# One sample: 1.0 at time 0.
_CHUNK = b"\0\1\0\x3f\xf0\0\0\0\0\0\0"


def _series(member: int, end: int) -> bytes:
    """A labelled series with a chunk that ends at `end`, in a member of an AggrChunk."""
    label = field(1, b"name") + field(2, b"value")
    chunk = b"\x10" + bytes([end]) + field(member, field(2, _CHUNK))
    return field(1, field(1, label) + field(2, chunk))


def compile_kernels() -> None:
    """Idempotent; what was compiled by an earlier process is loaded from numba's cache."""
    cancel = np.zeros(1, np.uint8)
    for func in ("", "max", "rate"):
        for chain in (False, True):
            hints = Hints(start=0, end=9, func=func)
            purpose = Purpose(hints.start, hints.end, aggregates(func), True, func in COUNTERS, chain)
            for member in (3, 8):
                intake = Intake(["replica"])
                intake.add(framed(_series(3, 1) + _series(3, 2) + _series(member, 3)))
                if member == 3 or func == "rate":
                    decode(assemble(intake, purpose, cancel), cancel)
    _compile_rare_ones()


def _compile_rare_ones() -> None:
    """What only large answers use, and those with native histograms."""
    Intake([str(number) for number in range(1000)])
    data = np.frombuffer(bytearray(_CHUNK + bytes(kernels.PADDING)), np.uint8)
    times, bits = np.empty(1, np.int64), np.empty(1, np.uint64)
    kernels.sample_count(data, 0, len(_CHUNK))
    kernels.decode_chunk(data, 0, len(_CHUNK), -1, 9, True, times, bits, 0)
    kernels.find_members(data, 0, 0, np.empty((kernels.MEMBERS, 3), np.int64))
    none = np.empty(0, np.int64)
    read_histograms(data, OddLane(none, none, none), Purpose(0, 9))
