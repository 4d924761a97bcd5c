"""`crossrealm sidecar`: a StoreAPI in front of one Prometheus."""

import time


def warm_up() -> float:
    """Compile the kernels, or load what was compiled before; the seconds it took."""
    begun = time.monotonic()
    from app.sidecar.warming import compile_kernels  # numba is slow to import, and few commands need it

    compile_kernels()
    return time.monotonic() - begun
