"""The watcher: files are followed between handshakes, whatever happens to them."""

import os
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import pytest
import structlog

from app.tls import cache as cache_module
from app.tls.cache import watched_places
from app.tls.model import Change, Role, TlsFiles
from app.tls.provider import Provider
from tests.pki import CA, KubernetesVolume, Leaf
from tests.unit.tls.following import Clock, Realm, following

pytestmark = pytest.mark.anyio

CA1 = CA("ca 1")


@pytest.fixture
def realm(tmp_path: Path) -> Realm:
    made = Realm(tmp_path / "eu")
    made.identity(CA1.issue())
    made.trust(CA1)
    return made


class Swaps:
    """Mutable: the changes that a provider told of, in order."""

    def __init__(self, provider: Provider) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Change](100)
        provider.subscribe(self._send.send_nowait)

    async def until(self, leaf: Leaf) -> None:
        with anyio.fail_after(10):
            while True:
                change = await self._receive.receive()
                if change.new.identity is not None and change.new.identity.serial == leaf.serial:
                    return

    def any(self) -> bool:
        return self._receive.statistics().current_buffer_used > 0

    def close(self) -> None:
        self._send.close()
        self._receive.close()


async def _no_inotify(*_: object, **__: object) -> AsyncIterator[set[object]]:
    await anyio.sleep_forever()
    yield set()


async def _broken_inotify(*_: object, **__: object) -> AsyncIterator[set[object]]:
    for nothing in list[set[object]]():
        yield nothing
    raise OSError("no inotify watches left")


async def test_the_poll_alone_follows_files(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(cache_module, "awatch", _no_inotify)
    async with following() as found:
        provider = found.provider(realm.files)
        await provider.fresh()
        swaps = Swaps(provider)
        for _ in range(5):
            await swaps.until(realm.identity(CA1.issue()))
        swaps.close()


async def test_inotify_alone_follows_files(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "POLL_INTERVAL", 3600.0)
    async with following() as found:
        provider = found.provider(realm.files)
        await provider.fresh()
        swaps = Swaps(provider)
        # inotify does not say when it is ready: write until it has seen a change.
        with anyio.fail_after(10):
            while not swaps.any():
                realm.identity(CA1.issue())
                await anyio.sleep(0.1)
        for _ in range(3):
            await swaps.until(realm.identity(CA1.issue()))
        swaps.close()


async def test_a_swapped_volume_is_followed(tmp_path: Path) -> None:
    volume = KubernetesVolume(tmp_path / "eu")

    def write() -> Leaf:
        leaf = CA1.issue()
        volume.write({"tls.crt": leaf.chain_pem, "tls.key": leaf.key_pem, "ca.crt": CA1.pem})
        return leaf

    write()
    async with following() as found:
        provider = found.provider(Realm(volume.directory).files)
        await provider.fresh()
        swaps = Swaps(provider)
        for _ in range(3):
            await swaps.until(write())
        swaps.close()


async def test_a_directory_deleted_and_made_again(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "POLL_INTERVAL", 0.1)
    async with following() as found:
        provider = found.provider(realm.files)
        good = await provider.fresh()
        swaps = Swaps(provider)
        shutil.rmtree(realm.directory)
        assert await provider.fresh() is good
        assert provider.status().identity.refused_reason == "missing"
        again = Realm(realm.directory)
        leaf = again.identity(CA1.issue())
        again.trust(CA1)
        await swaps.until(leaf)
        swaps.close()


async def test_files_that_are_not_there_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "POLL_INTERVAL", 0.05)
    directory = tmp_path / "later"
    files = TlsFiles(
        cert_file=str(directory / "tls.crt"),
        key_file=str(directory / "tls.key"),
        ca_file=str(directory / "ca.crt"),
    )
    async with following() as found:
        provider = found.provider(files)
        swaps = Swaps(provider)
        realm = Realm(directory)
        realm.trust(CA1)
        await swaps.until(realm.identity(CA1.issue()))
        swaps.close()


async def test_dates_are_followed(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "POLL_INTERVAL", 0.02)
    clock = Clock(time.time())
    async with following(clock) as found:
        provider = found.provider(realm.files)
        await provider.fresh()
        swaps = Swaps(provider)
        leaf = realm.identity(CA1.issue(not_before=clock.now + 100))
        await provider.fresh()
        assert provider.status().identity.refused_reason == "not_yet_valid"
        clock.now += 101
        await swaps.until(leaf)
        swaps.close()


async def test_contents_are_compared_now_and_then(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    """For file systems whose stat does not tell."""
    monkeypatch.setattr(cache_module, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(cache_module, "FULL_READ_INTERVAL", 0.1)
    stuck = ((1, 1, 1, 1),)
    monkeypatch.setattr("app.tls.rebuild.signature", lambda paths: stuck)
    monkeypatch.setattr("app.tls.provider.signature", lambda paths: stuck)
    async with following() as found:
        provider = found.provider(realm.files)
        await provider.fresh()
        swaps = Swaps(provider)
        await swaps.until(realm.identity(CA1.issue()))
        swaps.close()


async def test_the_watcher_survives_an_error_of_inotify(
    realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "awatch", _broken_inotify)
    monkeypatch.setattr(cache_module, "POLL_INTERVAL", 0.02)
    with structlog.testing.capture_logs() as lines:
        async with following() as found:
            provider = found.provider(realm.files)
            await provider.fresh()
            swaps = Swaps(provider)
            for _ in range(3):
                await swaps.until(realm.identity(CA1.issue()))
            swaps.close()
    assert len([line for line in lines if "watching certificate files failed" in line["event"]]) == 1


async def test_a_signal_reads_everything_again(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "POLL_INTERVAL", 3600.0)
    stuck = ((1, 1, 1, 1),)
    monkeypatch.setattr("app.tls.rebuild.signature", lambda paths: stuck)
    monkeypatch.setattr("app.tls.provider.signature", lambda paths: stuck)
    async with following() as found:
        provider = found.provider(realm.files)
        await provider.fresh()
        leaf = realm.identity(CA1.issue())
        await found.cache.refresh_all()
        material = provider.current()
        assert material is not None and material.identity is not None
        assert material.identity.serial == leaf.serial


async def test_stopping_does_not_wait_for_inotify(realm: Realm) -> None:
    async with following() as found:
        await found.provider(realm.files).fresh()
        await anyio.sleep(0.2)  # the watching thread is at work by now
        began = time.monotonic()
    assert time.monotonic() - began < 2


async def test_two_roles_of_one_group_are_apart(realm: Realm) -> None:
    async with following() as found:
        ours, theirs = found.provider(realm.files), found.provider(realm.files, Role.SERVER)
        await ours.fresh()
        await theirs.fresh()
        found.cache.remove(ours)
        assert found.cache.providers() == (theirs,)
        assert found.metric("generation", role="client") is None
        assert found.metric("generation", role="server") == 1


def _directories(paths: Sequence[str]) -> set[str]:
    return {place[0] for place in watched_places(paths)}


def test_links_on_the_way_are_watched_too(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "live").symlink_to("v1")
    path = str(tmp_path / "live" / "tls.crt")
    assert _directories([path]) == {str(tmp_path / "live"), str(tmp_path)}
    before = watched_places([path])
    (tmp_path / "v2").mkdir()
    (tmp_path / "next").symlink_to("v2")
    os.replace(tmp_path / "next", tmp_path / "live")
    assert watched_places([path]) != before
    assert _directories([str(tmp_path / "nowhere" / "tls.crt")]) == set()
