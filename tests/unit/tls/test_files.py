"""Reading a set as a whole, and noticing that it changed."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from app.errors import MaterialError
from app.tls.files import MAX_FILE_SIZE, SetContent, read_set, read_set_aside, resolved, signature
from tests.pki import KubernetesVolume, replace


def _aside(paths: list[str]) -> SetContent:
    return anyio.run(read_set_aside, paths)


both = pytest.mark.parametrize("read", [read_set, _aside], ids=["in a thread", "aside"])


@both
def test_reads_all_files_in_order(tmp_path: Path, read: Callable[[list[str]], SetContent]) -> None:
    paths = [str(tmp_path / name) for name in "ba"]
    for path in paths:
        Path(path).write_bytes(path.encode())
    content = read(paths)
    assert content.files == tuple(path.encode() for path in paths)
    assert content.digest == read(paths).digest != read(paths[::-1]).digest


def test_the_digest_tells_where_one_file_ends(tmp_path: Path) -> None:
    for name, content in (("a", b"xy"), ("b", b"z"), ("c", b"x"), ("d", b"yz")):
        (tmp_path / name).write_bytes(content)
    one, other = ([str(tmp_path / name) for name in names] for names in ("ab", "cd"))
    assert read_set(one).digest != read_set(other).digest


def test_a_content_never_shows_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"very secret")
    assert "secret" not in repr(read_set([str(tmp_path / "key")]))


@both
@pytest.mark.parametrize(
    ("reason", "make"),
    [
        ("missing", lambda path: None),
        ("empty", lambda path: path.write_bytes(b" \n")),
        ("unreadable", lambda path: path.mkdir()),
        ("unreadable", lambda path: path.write_bytes(b"x" * (MAX_FILE_SIZE + 1))),
        ("unreadable", lambda path: path.symlink_to(path)),
    ],
    ids=["missing", "blank", "a directory", "too large", "a loop of links"],
)
def test_refuses_what_cannot_be_read(
    tmp_path: Path, read: Callable[[list[str]], SetContent], reason: str, make: Callable[[Path], object]
) -> None:
    path = tmp_path / "ca.crt"
    make(path)
    with pytest.raises(MaterialError, match=r"ca\.crt") as caught:
        read([str(path)])
    assert caught.value.reason == reason


def test_a_volume_is_resolved_once_for_a_set(tmp_path: Path) -> None:
    volume = KubernetesVolume(tmp_path / "secret")
    volume.write({"tls.crt": b"1", "tls.key": b"1"})
    paths = [str(volume.directory / name) for name in ("tls.crt", "tls.key")]
    before = resolved(paths)
    volume.write({"tls.crt": b"2", "tls.key": b"2"})
    assert [Path(each).read_bytes() for each in before] == [b"1", b"1"]
    assert read_set(paths).files == (b"2", b"2")


def test_a_linked_directory_is_resolved_once_for_a_set(tmp_path: Path) -> None:
    for version in "12":
        (tmp_path / version).mkdir()
        for name in ("tls.crt", "tls.key"):
            (tmp_path / version / name).write_bytes(version.encode())
    (tmp_path / "live").symlink_to("1")
    paths = [str(tmp_path / "live" / name) for name in ("tls.crt", "tls.key")]
    before = resolved(paths)
    (tmp_path / "next").symlink_to("2")
    os.replace(tmp_path / "next", tmp_path / "live")
    assert [Path(each).read_bytes() for each in before] == [b"1", b"1"]
    assert read_set(paths).files == (b"2", b"2")


def _same_mtime(path: Path) -> None:
    stat = path.stat()
    path.write_bytes(b"y" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _renamed_over(path: Path) -> None:
    stat = path.stat()
    replace(path, b"y" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [_same_mtime, _renamed_over, Path.unlink, partial(Path.write_bytes, data=b"longer than before")],
    ids=["same mtime and size", "renamed over, same mtime and size", "deleted", "written"],
)
def test_a_change_shows_in_the_signature(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "tls.crt"
    path.write_bytes(b"x" * 10)
    # Longer ago than one tick of the clock that the kernel stamps files with.
    os.utime(path, ns=(1, 1))
    before = signature([str(path)])
    deadline = os.stat(path).st_ctime_ns
    while True:  # the next tick
        probe = tmp_path / "probe"
        probe.write_bytes(b"")
        if probe.stat().st_ctime_ns > deadline:
            break
    change(path)
    assert signature([str(path)]) != before


def test_a_swapped_volume_shows_in_the_signature(tmp_path: Path) -> None:
    volume = KubernetesVolume(tmp_path)
    volume.write({"tls.crt": b"1"})
    before = signature([str(tmp_path / "tls.crt")])
    assert signature([str(tmp_path / "tls.crt")]) == before
    volume.write({"tls.crt": b"1"})
    assert signature([str(tmp_path / "tls.crt")]) != before
