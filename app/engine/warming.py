"""Compiling the engine's kernels: small answers of an endpoint through all of them."""

import numpy as np

from app.engine.fast.warming import warm_up
from app.engine.select.assembling import assemble
from app.engine.select.decode import decode
from app.engine.select.intake import Intake
from app.engine.select.odd import Purpose
from app.fanout.wire import field, framed

_CHUNK = b"\x00\x01\x00" + bytes(8)
"""One sample at the epoch, of value 0."""


def _series(value: bytes, *members: int) -> bytes:
    label = field(1, b"name") + field(2, value)
    chunk = b"\x08\x00\x10\x00" + b"".join(field(member, field(2, _CHUNK)) for member in members)
    return field(1, field(1, label) + field(2, chunk))


def compile_kernels() -> None:
    """Idempotent; what was compiled by an earlier process is loaded from numba's cache."""
    none = np.zeros(1, np.uint8)
    for chain, counter in ((False, False), (False, True), (True, False)):
        intake = Intake(["replica"])
        for value in (b"a", b"b", b"b"):
            intake.add(framed(field(4, _series(value, 3))))
        intake.add(framed(field(4, _series(b"c", 4, 5, 8))))
        purpose = Purpose(start=-1, end=1, apart=True, counter=counter, chain=chain)
        decode(assemble(intake, purpose, none), none)
    warm_up()
