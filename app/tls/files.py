"""Reading one set of files (identity, or trust) from disk as a whole.

Kubernetes swaps a whole directory of files by renaming the link ``..data``; other tools swap a directory
link. Both are resolved once for a set, and every file of it is read behind that one resolution, so that a
swap between two reads cannot give a certificate of one generation and a key of another.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import aiofiles
import anyio
import msgspec

from app.errors import MaterialError

MAX_FILE_SIZE = 16 * 1024 * 1024
"""Bytes. The largest public bundles have half a megabyte; CRLs of big authorities a few."""

Signature = tuple[tuple[int, int, int, int], ...]
"""For each file (mtime in ns, inode, size, ctime in ns); zeros where it is missing."""


class SetContent(msgspec.Struct, frozen=True):
    """The bytes of a set, in the order of its paths, and the SHA-256 over them."""

    files: tuple[bytes, ...]
    digest: str

    def __repr__(self) -> str:
        return f"SetContent({self.digest!r})"  # never the content: a key is in it


def signature(paths: Sequence[str]) -> Signature:
    """What changes when a file is written, renamed over, or swapped. 1 to 2 µs a file, no content read."""
    return tuple(_stat(path) for path in paths)


def _stat(path: str) -> tuple[int, int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0, 0)
    return (found.st_mtime_ns, found.st_ino, found.st_size, found.st_ctime_ns)


def resolved(paths: Sequence[str]) -> list[str]:
    """The paths behind one resolution of each directory link and of each ``..data`` link."""
    parents: dict[str, str] = {}
    generations: dict[str, str] = {}
    found = []
    for path in paths:
        directory, name = os.path.split(path)
        parent = parents.setdefault(directory, os.path.realpath(directory or "."))
        target = os.path.join(parent, name)
        try:
            link = os.readlink(target)
        except OSError:
            found.append(target)  # not a link, or not there: reading says which
            continue
        if link.startswith("..data/"):
            generation = generations.setdefault(parent, os.path.realpath(os.path.join(parent, "..data")))
            target = os.path.join(generation, link.removeprefix("..data/"))
        found.append(target)
    return found


def read_set(paths: Sequence[str]) -> SetContent:
    """Read all files of a set.

    :raises MaterialError: ``missing``, ``unreadable`` or ``empty``, naming the path as the operator wrote it.
    """
    contents = []
    for path, target in zip(paths, resolved(paths), strict=True):
        with _naming(path), open(target, "rb") as file:
            contents.append(_checked(path, file.read(MAX_FILE_SIZE + 1)))
    return _content(contents)


async def read_set_aside(paths: Sequence[str]) -> SetContent:
    """As `read_set`, off the handshake path: the event loop goes on between the reads."""
    contents = []
    for path, target in zip(paths, resolved(paths), strict=True):
        with _naming(path):
            # Shielded: aiofiles opens in a thread, and a file that is opened for nobody is never closed.
            with anyio.CancelScope(shield=True):
                async with aiofiles.open(target, "rb") as file:
                    content = await file.read(MAX_FILE_SIZE + 1)
            contents.append(_checked(path, content))
    return _content(contents)


@contextmanager
def _naming(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise MaterialError("missing", f"{path}: no such file") from None
    except OSError as error:
        raise MaterialError("unreadable", f"{path}: {error.strerror or error}") from None


def _checked(path: str, content: bytes) -> bytes:
    if len(content) > MAX_FILE_SIZE:
        raise MaterialError("unreadable", f"{path}: larger than {MAX_FILE_SIZE} bytes")
    if not content.strip():
        raise MaterialError("empty", f"{path}: the file is empty")
    return content


def _content(contents: Sequence[bytes]) -> SetContent:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return SetContent(tuple(contents), digest.hexdigest())
