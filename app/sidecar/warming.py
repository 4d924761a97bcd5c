"""Compiling the kernels: a small answer of each kind through all of them, with the types of real ones."""

import cramjam
import google_crc32c

from app.fanout.resort import Resorter
from app.fanout.warming import compile_kernels as compile_fanout
from app.fanout.wire import field, varint
from app.sidecar.sampled import sampled_frames
from app.sidecar.translation import Shard, Translation, TranslationOptions


def compile_kernels() -> None:
    """Idempotent; what was compiled by an earlier process is loaded from numba's cache."""
    compile_fanout()  # answers that have to be sorted are, by the fan-out's kernels
    label = field(1, field(1, b"a") + field(2, b"1"))
    chunk = field(2, b"\x08\x01\x10\x02\x18\x01" + field(4, b"data"))
    message = field(1, label + chunk)
    frame = varint(len(message)) + google_crc32c.value(message).to_bytes(4, "big") + message
    sample = b"\x09" + bytes(8) + b"\x10\x01"
    sampled = field(1, field(1, label + field(2, sample) + field(2, sample[:-1] + b"\x02")))
    from_samples = b"".join(sampled_frames(bytes(cramjam.snappy.compress_raw(sampled)), 1 << 20))
    options = TranslationOptions(external=(("m", "x"),), batch=64, shard=Shard(0, 1, True, ("a",)))
    for content in (frame + frame, from_samples):
        translation = Translation(options)
        translation.add(content)
        resorter = Resorter((), 1 << 20)
        for part in translation.translated(final=True):
            resorter.add(bytes(part))
