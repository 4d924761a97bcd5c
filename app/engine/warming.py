"""Compiling the engine's kernels: those of selecting, those of evaluating on columns."""

from app.engine import fast
from app.engine.select import warming as select


def compile_kernels() -> None:
    """Idempotent; what was compiled by an earlier process is loaded from numba's cache."""
    select.compile_kernels()
    fast.warm_up()
