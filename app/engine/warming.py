"""Compiling the kernels: a small answer through all of them, with the types of real ones."""

import time


def warm_up() -> float:
    """Compile the kernels, or load what was compiled before; the seconds it took."""
    begun = time.monotonic()
    from app.engine.cancelling import CancelFlag  # numba is slow to import, and few commands need it
    from app.engine.select.assembling import assemble
    from app.engine.select.decode import decode
    from app.engine.select.intake import Intake
    from app.engine.select.odd import Purpose
    from app.fanout.wire import field, framed

    label = field(1, field(1, b"a") + field(2, b"1")) + field(1, field(1, b"r") + field(2, b"1"))
    samples = field(2, b"\0\1\0" + bytes(8))  # a chunk of one sample, 0 at the epoch
    raw = field(2, b"\x08\0\x10\0" + field(3, samples))
    downsampled = field(2, b"\x08\1\x10\1" + field(4, samples) + field(5, samples))
    cancel = CancelFlag().array
    for chunks in (raw + raw, downsampled):
        for purpose in (Purpose(0, 1), Purpose(0, 1, counter=True), Purpose(0, 1, chain=True)):
            intake = Intake(["r"])
            series = framed(field(1, label + chunks))
            intake.add(series + series)
            decode(assemble(intake, purpose, cancel), cancel)
    return time.monotonic() - begun
