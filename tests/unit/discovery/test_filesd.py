import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from prometheus_client import CollectorRegistry

from app.discovery import filesd
from app.discovery.filesd import FileSd
from app.discovery.last_good import Reading
from app.discovery.metrics import DiscoveryMetrics
from app.discovery.watcher import DirectoryWatcher

pytestmark = pytest.mark.anyio


class Followed:
    """File SD over real files, with a way to await the next change."""

    def __init__(
        self, *patterns: str | Path, interval: float = 3600.0, watcher: DirectoryWatcher | None = None
    ) -> None:
        self.registry = CollectorRegistry()
        self.watcher = watcher or DirectoryWatcher()
        self.sd = FileSd(
            "eu",
            [str(pattern) for pattern in patterns],
            interval=interval,
            watcher=self.watcher,
            metrics=DiscoveryMetrics(self.registry),
        )
        self._changed = anyio.Event()

    def on_change(self) -> None:
        self._changed.set()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[FileSd]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.watcher.run)
            tasks.start_soon(self.sd.follow, self.on_change)
            await self.change()
            yield self.sd
            tasks.cancel_scope.cancel()

    async def change(self) -> tuple[str, ...]:
        """The addresses after the next change."""
        with anyio.fail_after(10):
            await self._changed.wait()
        self._changed = anyio.Event()
        return self.sd.addresses

    def read_errors(self) -> float | None:
        return self.registry.get_sample_value("prometheus_sd_file_read_errors_total")


def write(path: Path, *addresses: str) -> None:
    """As a careful writer does."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f"- targets: {list(addresses)}\n")
    temporary.rename(path)


async def looked(*patterns: str | Path) -> FileSd:
    sd = Followed(*patterns).sd
    await sd.look()
    return sd


async def test_reads_all_that_the_patterns_match_in_order(tmp_path: Path) -> None:
    write(tmp_path / "b.yaml", "b:1", "b:2")
    write(tmp_path / "a.yml", "a:1")
    (tmp_path / "c.json").write_text('[{"targets": ["c:1"]}]')
    (tmp_path / "d.yaml.tmp").write_text("- targets: [d:1]")
    sd = await looked(tmp_path / "b.yaml", tmp_path / "*")
    assert sd.addresses == ("b:1", "b:2", "a:1", "c:1")
    assert sd.failures() == ()
    assert sd.looked


async def test_a_glob_that_matches_nothing_is_no_failure(tmp_path: Path) -> None:
    sd = await looked(tmp_path / "*.yaml", tmp_path / "none" / "*.json")
    assert (sd.addresses, sd.failures(), sd.looked) == ((), (), True)


async def test_a_named_file_that_is_missing_is_a_failure(tmp_path: Path) -> None:
    sd = await looked(tmp_path / "a.yaml")
    assert sd.failures() == (f"{tmp_path / 'a.yaml'}: there is no such file",)
    write(tmp_path / "a.yaml", "a:1")
    await sd.look()
    assert (sd.failures(), sd.addresses) == ((), ("a:1",))


async def test_a_file_that_was_never_good_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- targets: [")
    (tmp_path / "b.conf").write_text("- targets: [b:1]")
    (tmp_path / "c.yaml").mkdir()
    failures = (await looked(*(tmp_path / name for name in ("a.yaml", "b.conf", "c.yaml")))).failures()
    assert len(failures) == 3
    assert ".json, .yaml, .yml" in failures[1]
    assert "directory" in failures[2]


async def test_the_last_good_list_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    write(path, "a:1")
    followed = Followed(path)
    await followed.sd.look()
    for broken in ("", "- targets: ['a:", "targets: []"):
        path.write_text(broken)
        await followed.sd.look()
        assert (followed.sd.addresses, followed.sd.failures()) == (("a:1",), ())
    assert followed.read_errors() == 3
    path.write_text("[]")
    await followed.sd.look()
    assert followed.sd.addresses == ()


async def test_a_file_that_is_gone_takes_its_targets_with_it(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "a:1")
    write(tmp_path / "b.yaml", "b:1")
    followed = Followed(tmp_path / "*.yaml")
    await followed.sd.look()
    labels = {"filename": str(tmp_path / "a.yaml")}
    assert followed.registry.get_sample_value("prometheus_sd_file_mtime_seconds", labels) is not None
    (tmp_path / "a.yaml").unlink()
    await followed.sd.look()
    assert followed.sd.addresses == ("b:1",)
    assert followed.registry.get_sample_value("prometheus_sd_file_mtime_seconds", labels) is None


async def test_unchanged_files_are_not_read_again_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.yaml", "a:1")
    sd = await looked(tmp_path / "a.yaml")
    reads: list[str] = []
    read = filesd._read

    async def counted(path: str) -> Reading:
        reads.append(path)
        return await read(path)

    monkeypatch.setattr(filesd, "_read", counted)
    await sd.look()
    assert reads == []
    sd.refresh()
    await sd.look()
    assert len(reads) == 1


async def test_an_oversized_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesd, "MAX_FILE_SIZE", 10)
    write(tmp_path / "a.yaml", "a:1")
    assert "larger than 10 bytes" in (await looked(tmp_path / "a.yaml")).failures()[0]


async def test_a_renamed_file_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "a:1")
    followed = Followed(tmp_path / "*.yaml")
    async with followed.following() as sd:
        assert sd.addresses == ("a:1",)
        write(tmp_path / "a.yaml", "a:2")
        assert await followed.change() == ("a:2",)
        write(tmp_path / "b.yaml", "b:1")
        assert await followed.change() == ("a:2", "b:1")
        (tmp_path / "a.yaml").unlink()
        assert await followed.change() == ("b:1",)


async def test_a_file_written_in_place_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"targets": ["a:1"]}]')
    followed = Followed(path)
    async with followed.following():
        path.write_text('[{"targets": ["a:1", "a:2"]}]')
        assert await followed.change() == ("a:1", "a:2")


async def test_a_kubernetes_volume_is_followed(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()

    def publish(name: str, *addresses: str) -> None:
        (volume / name).mkdir()
        write(volume / name / "a.yaml", *addresses)
        (volume / "..data_tmp").symlink_to(name)
        os.replace(volume / "..data_tmp", volume / "..data")

    publish("..one", "a:1")
    (volume / "a.yaml").symlink_to("..data/a.yaml")
    followed = Followed(volume / "*.yaml")
    async with followed.following() as sd:
        assert sd.addresses == ("a:1",)
        publish("..two", "a:2")
        assert await followed.change() == ("a:2",)
        publish("..three", "a:3")
        assert await followed.change() == ("a:3",)


async def test_a_link_to_elsewhere_is_followed_there(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    write(tmp_path / "there" / "real.yaml", "a:1")
    (tmp_path / "here" / "a.yaml").symlink_to(tmp_path / "there" / "real.yaml")
    followed = Followed(tmp_path / "here" / "a.yaml")
    async with followed.following():
        write(tmp_path / "there" / "real.yaml", "a:2")
        assert await followed.change() == ("a:2",)


async def test_a_directory_that_is_made_later_or_made_anew_is_followed(tmp_path: Path) -> None:
    directory = tmp_path / "sd"
    followed = Followed(directory / "*.yaml")
    async with followed.following() as sd:
        assert sd.addresses == ()
        for round_number in (1, 2):
            directory.mkdir()
            write(directory / "a.yaml", f"a:{round_number}")
            assert await followed.change() == (f"a:{round_number}",)
            (directory / "a.yaml").unlink()
            directory.rmdir()
            assert await followed.change() == ()


async def test_polling_finds_what_no_watcher_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesd, "watchable", lambda directory: None)
    write(tmp_path / "a.yaml", "a:1")
    followed = Followed(tmp_path / "a.yaml", interval=0.05)
    async with followed.following():
        write(tmp_path / "a.yaml", "a:2")
        assert await followed.change() == ("a:2",)


async def test_a_refused_file_is_looked_at_again_before_the_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesd, "watchable", lambda directory: None)
    monkeypatch.setattr(filesd, "RETRY", 0.05)
    followed = Followed(tmp_path / "a.yaml", interval=3600)
    async with followed.following():
        write(tmp_path / "a.yaml", "a:1")
        assert await followed.change() == ("a:1",)


async def test_other_patterns_can_be_put_in(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "a:1")
    write(tmp_path / "b.yaml", "b:1")
    followed = Followed(tmp_path / "a.yaml")
    async with followed.following() as sd:
        sd.replace_patterns([str(tmp_path / "b.yaml")])
        assert await followed.change() == ("b:1",)


async def test_many_groups_share_one_watcher(tmp_path: Path) -> None:
    watcher = DirectoryWatcher()
    groups: list[Followed] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watcher.run)
        for number in range(60):
            write(tmp_path / f"{number}.yaml", "a:1")
            groups.append(Followed(tmp_path / f"{number}.yaml", watcher=watcher))
            tasks.start_soon(groups[-1].sd.follow, groups[-1].on_change)
        for group in groups:
            assert await group.change() == ("a:1",)
        for number in range(60):
            write(tmp_path / f"{number}.yaml", "a:2")
        for group in groups:
            assert await group.change() == ("a:2",)
        tasks.cancel_scope.cancel()
