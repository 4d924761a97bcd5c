"""Compiled kernels that came with the program to where nothing may be written, as in a container image."""

import os
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def make_writable(environment: MutableMapping[str, str]) -> str | None:
    """Let `NUMBA_CACHE_DIR` name a copy, where what it names cannot be written.

    numba passes over a cache that it cannot write to, although it could read all it wants from it, and would
    compile for seconds at every start.

    :return: the copy, which the caller deletes; None where there is no need of one, or no place for it.
    """
    shipped = environment.get(VARIABLE, "")
    if not os.path.isdir(shipped) or os.access(shipped, os.W_OK):
        return None
    try:
        copy = tempfile.mkdtemp(prefix="crossrealm-kernels-")
    except OSError:
        return None  # numba then says that it cannot keep what it compiles
    try:
        _copy(Path(shipped), Path(copy))
    except OSError:  # a half of it would be worse than none: numba fails at a file that is cut short
        shutil.rmtree(copy, ignore_errors=True)
        return None
    environment[VARIABLE] = copy
    return copy


def _copy(source: Path, target: Path) -> None:
    """Files and directories without their permissions, which are those of something to be read only."""
    for path in sorted(source.rglob("*")):
        beside = target / path.relative_to(source)
        if path.is_dir():
            beside.mkdir()
        else:
            shutil.copyfile(path, beside)
