"""How kernels are compiled, and what makes a compiled one stale."""

import atexit
import hashlib
import os
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
import structlog

from app.kernels.shipped_cache import make_writable

log = structlog.get_logger()

if (_copy := make_writable(os.environ)) is not None:
    numba.config.reload_config()  # it reads the environment again at each compilation anyway
    atexit.register(shutil.rmtree, _copy, ignore_errors=True)


@lru_cache
def _fingerprint(folder: Path) -> str:
    """Of all kernels in `folder` and of what every kernel is made of."""
    digest = hashlib.sha256()
    for path in sorted((*Path(__file__).parent.glob("*.py"), *folder.glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _CacheState:
    """Mutable: whether it was said already that nothing can be cached."""

    reported = False


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first use, without the interpreter's lock, cached on disk.

    numba's cache notices a change of the kernel's own file only; what it calls from another file would go
    on running as it was. So the stamp of the cache is that of all kernels beside it.
    """
    return _compiled(function, {"nogil": True})


def float_kernel(function: Callable[..., Any]) -> Any:
    """Likewise; a division by zero is infinity or NaN instead of an exception, and costs no check."""
    return _compiled(function, {"nogil": True, "error_model": "numpy"})


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    if getattr(numba.config, "DISABLE_JIT", False):
        return function  # plain Python, which checks bounds: the fuzz tests run the kernels so
    try:
        dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError as error:  # no writable place for the cache
        if not _CacheState.reported:
            _CacheState.reported = True
            log.warning(
                "compiled kernels cannot be kept, so every start compiles them again (set NUMBA_CACHE_DIR)",
                reason="no_cache",
                err=str(error),
            )
        return numba.njit(**options)(function)
    stamped = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if stamped is not None:  # private to numba; without it a changed kernel needs its cache deleted
        stamped._source_stamp = _fingerprint(Path(function.__code__.co_filename).parent)
    return dispatcher


inlined = numba.njit(inline="always", nogil=True)
"""For the small parts that kernels are made of."""
