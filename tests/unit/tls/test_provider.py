"""What handshakes get while files change under them."""

import os
import threading
import time
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from app.errors import ConfigError, MaterialError
from app.tls.model import Change, Material, Role, TlsPolicy
from app.tls.rebuild import Outcome, Spec, material_faults, rebuild
from tests.pki import CA, DAY, KubernetesVolume, Leaf, replace
from tests.unit.tls.following import Realm, following
from tests.unit.tls.handshake import shake

pytestmark = pytest.mark.anyio

CA1, CA2 = CA("ca 1"), CA("ca 2")


@pytest.fixture
def realm(tmp_path: Path) -> Realm:
    made = Realm(tmp_path / "eu")
    made.identity(CA1.issue())
    made.trust(CA1)
    return made


def shown(leaf: Leaf) -> list[bytes]:
    certificates = x509.load_pem_x509_certificates(leaf.chain_pem)
    return [each.public_bytes(serialization.Encoding.DER) for each in certificates]


def serial(material: Material | None) -> str:
    assert material is not None and material.identity is not None
    return material.identity.serial


async def test_a_handshake_uses_what_is_on_disk_when_it_begins(realm: Realm) -> None:
    async with following() as found:
        provider = found.provider(realm.files)
        assert provider.current() is None
        for generation in range(1, 30):
            leaf = realm.identity(CA1.issue())
            material = await provider.fresh()
            assert serial(material) == leaf.serial
            assert material.generation == generation
        assert provider.current() is material


async def test_nothing_is_built_while_nothing_changes(realm: Realm) -> None:
    async with following() as found:
        provider = found.provider(realm.files)
        first = await provider.fresh()
        assert await provider.fresh() is first
        await provider.refresh()
        assert await provider.fresh() is first


def _spoil(realm: Realm, kind: str) -> str:
    """Put something bad on disk; the reason that it is to be refused with."""
    cert, key = Path(realm.files.cert_file), Path(realm.files.key_file)
    leaf = CA1.issue()
    if kind == "torn pair":
        replace(cert, leaf.chain_pem)
        return "key_mismatch"
    if kind == "half a file":
        replace(cert, leaf.chain_pem[:200])
        return "torn"
    if kind == "empty file":
        cert.write_bytes(b"")
        return "empty"
    if kind == "wrong key":
        replace(key, leaf.key_pem)
        return "key_mismatch"
    if kind == "deleted":
        cert.unlink()
        return "missing"
    if kind == "unreadable":
        cert.unlink()
        cert.mkdir()
        return "unreadable"
    if kind == "not yet valid":
        realm.identity(CA1.issue(not_before=time.time() + DAY, not_after=time.time() + 2 * DAY))
        return "not_yet_valid"
    realm.identity(CA1.issue(not_before=time.time() - 2 * DAY, not_after=time.time() - DAY))
    return "expired"


def _mend(realm: Realm) -> Leaf:
    cert = Path(realm.files.cert_file)
    if cert.is_dir():
        cert.rmdir()
    return realm.identity(CA1.issue())


KINDS = [
    "torn pair",
    "half a file",
    "empty file",
    "wrong key",
    "deleted",
    "unreadable",
    "not yet valid",
    "expired",
]


@pytest.mark.parametrize("kind", KINDS)
async def test_last_good_serves_while_the_files_are_bad(realm: Realm, kind: str) -> None:
    async with following() as found:
        provider = found.provider(realm.files)
        good = await provider.fresh()
        reason = _spoil(realm, kind)
        assert await provider.fresh() is good
        status = provider.status()
        assert status.identity.refused_reason == reason
        assert realm.directory.name in status.identity.refused_message
        assert status.trust.refused_reason == ""
        labels = {"role": "client", "set": "identity"}
        assert found.metric("reloads_total", result="refused", reason=reason, **labels) == 1
        assert found.metric("last_reload_success", **labels) == 0
        await provider.refresh()  # the same again is no news
        assert found.metric("reloads_total", result="refused", reason=reason, **labels) == 1
        leaf = _mend(realm)
        assert serial(await provider.fresh()) == leaf.serial
        assert provider.status().identity.refused_reason == ""
        assert found.metric("last_reload_success", **labels) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_start_with_bad_files_recovers_by_itself(realm: Realm, kind: str) -> None:
    reason = _spoil(realm, kind)
    async with following() as found:
        provider = found.provider(realm.files)
        with pytest.raises(MaterialError) as caught:
            await provider.fresh()
        assert caught.value.reason == reason
        assert provider.status().generation == 0
        leaf = _mend(realm)
        assert serial(await provider.fresh()) == leaf.serial


async def test_the_sets_are_apart(realm: Realm) -> None:
    """A bad bundle keeps no good certificate back, and the other way round."""
    async with following() as found:
        provider = found.provider(realm.files)
        first = await provider.fresh()
        replace(Path(realm.files.ca_file), b"torn")
        leaf = realm.identity(CA1.issue())
        second = await provider.fresh()
        assert serial(second) == leaf.serial
        assert second.trust == first.trust
        assert provider.status().trust.refused_reason == "parse"
        _spoil(realm, "wrong key")
        realm.trust(CA1, CA2)
        third = await provider.fresh()
        assert serial(third) == leaf.serial
        assert len(third.trust) == 2


async def test_each_set_keeps_its_last_good_before_both_are_good(realm: Realm) -> None:
    os.unlink(realm.files.ca_file)
    async with following() as found:
        provider = found.provider(realm.files)
        with pytest.raises(MaterialError):
            await provider.fresh()
        good = provider.status().leaf
        assert good is not None
        _spoil(realm, "wrong key")
        realm.trust(CA1)
        assert serial(await provider.fresh()) == good.serial


async def test_a_swapped_volume(tmp_path: Path) -> None:
    volume = KubernetesVolume(tmp_path / "eu")
    realm = Realm(volume.directory)
    async with following() as found:
        provider = found.provider(realm.files)
        for _ in range(20):
            leaf = CA1.issue()
            volume.write({"tls.crt": leaf.chain_pem, "tls.key": leaf.key_pem, "ca.crt": CA1.pem})
            assert serial(await provider.fresh()) == leaf.serial
        assert provider.status().identity.refused_reason == ""
        assert found.metric("reloads_total", result="refused", reason="key_mismatch", role="client") is None


async def test_a_change_that_keeps_mtime(realm: Realm) -> None:
    async with following() as found:
        provider = found.provider(realm.files)
        await provider.fresh()
        stats = {path: os.stat(path) for path in (realm.files.cert_file, realm.files.key_file)}
        leaf = realm.identity(CA1.issue())
        for path, stat in stats.items():
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert serial(await provider.fresh()) == leaf.serial


async def test_a_change_that_the_signature_cannot_show(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written twice within one tick of the kernel's clock: same times, same size, same inode."""
    stuck = ((time.time_ns(), 1, 1, time.time_ns()),)
    monkeypatch.setattr("app.tls.rebuild.signature", lambda paths: stuck)
    monkeypatch.setattr("app.tls.provider.signature", lambda paths: stuck)
    monkeypatch.setattr("app.tls.rebuild.UNSETTLED", 60.0)
    async with following() as found:
        provider = found.provider(realm.files)
        await provider.fresh()
        leaf = realm.identity(CA1.issue())
        assert not provider.changed() and not provider.settled
        assert serial(await provider.fresh()) == leaf.serial


class Gate:
    """Mutable: holds rebuilds back until the test opens it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.began = threading.Event()
        self.calls = 0

        def held(*args: object, **options: object) -> Outcome:
            self.calls += 1
            self.began.set()
            assert self.open.wait(10)
            return rebuild(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr("app.tls.provider.rebuild", held)


async def test_all_who_ask_share_one_rebuild(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.tls.rebuild.UNSETTLED", 0.0)
    gate = Gate(monkeypatch)
    got: list[Material] = []
    async with following() as found:
        provider = found.provider(realm.files)

        async def ask() -> None:
            got.append(await provider.fresh())

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
            await anyio.to_thread.run_sync(gate.began.wait, 5)
            gate.open.set()
        assert len(got) == 20 and all(each is got[0] for each in got)
        assert gate.calls == 1


async def test_a_slow_rebuild_leaves_the_last_good_and_is_used_when_done(
    realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tls.provider.REBUILD_WAIT", 0.05)
    async with following() as found:
        provider = found.provider(realm.files)
        old = await provider.fresh()
        gate = Gate(monkeypatch)
        leaf = realm.identity(CA1.issue())
        assert await provider.fresh() is old
        swapped = anyio.Event()
        provider.subscribe(lambda _: swapped.set())
        gate.open.set()
        with anyio.fail_after(5):
            await swapped.wait()
        assert serial(provider.current()) == leaf.serial


async def test_who_gives_up_waiting_takes_nothing_from_the_others(
    realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    got: list[Material] = []
    async with following() as found:
        provider = found.provider(realm.files)

        async def ask() -> None:
            got.append(await provider.fresh())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            with anyio.move_on_after(0.05):
                await provider.fresh()
            gate.open.set()
        assert len(got) == 1


async def test_a_subscriber_that_fails_stops_nobody(realm: Realm) -> None:
    heard: list[Change] = []

    def fail(_: Change) -> None:
        raise ValueError("a fault of ours")

    async with following() as found:
        provider = found.provider(realm.files)
        provider.subscribe(fail)
        stop = provider.subscribe(heard.append)
        with structlog.testing.capture_logs():
            await provider.fresh()
        stop()
        stop()
        realm.identity(CA1.issue())
        with structlog.testing.capture_logs():
            await provider.fresh()
    assert len(heard) == 1


async def test_one_line_says_what_rotated(realm: Realm) -> None:
    async with following() as found:
        provider = found.provider(realm.files)
        first = await provider.fresh()
        with structlog.testing.capture_logs() as lines:
            leaf = realm.identity(CA1.issue())
            second = await provider.fresh()
            realm.trust(CA2)
            await provider.fresh()
    identity, trust = lines
    assert identity["event"] == "certificate material rotated: identity"
    assert identity["group"] == "eu" and identity["role"] == "client"
    assert identity["serial"] == leaf.serial and identity["old_serial"] == serial(first)
    assert identity["not_after"] and identity["old_not_after"]
    assert second.identity is not None
    assert trust["event"] == "certificate material rotated: trust"
    assert "CN=ca 2" in trust["cas_added"] and "CN=ca 1" in trust["cas_removed"]
    assert "PRIVATE" not in str(lines)


async def test_metrics(realm: Realm) -> None:
    realm.crls(CA1.crl())
    async with following() as found:
        provider = found.provider(realm.files_with_crl)
        material = await provider.fresh()
        assert material.identity is not None
        assert found.metric("generation", role="client") == 1
        leaf = found.metric("not_after_timestamp_seconds", role="client", kind="leaf")
        assert leaf == material.identity.not_after
        ca = found.metric("not_after_timestamp_seconds", role="client", kind="ca")
        assert ca == material.trust[0].not_after
        stale = found.metric("crl_next_update_timestamp_seconds", role="client")
        assert stale == provider.status().crl_next_update
        found.cache.remove(provider)
        found.cache.remove(provider)
        assert found.metric("generation", role="client") is None


async def test_a_policy_that_cannot_be_kept_is_an_error_at_once(realm: Realm) -> None:
    async with following() as found:
        with pytest.raises(ConfigError, match="TLS_ROT13"):
            found.provider(realm.files, policy=TlsPolicy(ciphers=("TLS_ROT13",)))
        without = realm.files.__class__(cert_file=realm.files.cert_file, key_file=realm.files.key_file)
        with pytest.raises(ConfigError, match="no client CA"):
            found.provider(without, Role.SERVER)
        assert found.cache.providers() == ()


def test_checking_files_names_all_faults(realm: Realm) -> None:
    spec = Spec(role=Role.CLIENT, files=realm.files, policy=TlsPolicy())
    assert material_faults(spec, time.time()) == []
    _spoil(realm, "wrong key")
    Path(realm.files.ca_file).unlink()
    assert [each.reason for each in material_faults(spec, time.time())] == ["key_mismatch", "missing"]


async def test_a_surprise_in_the_worker_ends_nothing(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    async with following() as found:
        provider = found.provider(realm.files)
        good = await provider.fresh()

        def fail(*_: object, **__: object) -> Outcome:
            raise RuntimeError("a fault of ours")

        with monkeypatch.context() as patch, structlog.testing.capture_logs() as lines:
            patch.setattr("app.tls.provider.rebuild", fail)
            await provider.refresh()
            assert provider.current() is good
        assert [line["log_level"] for line in lines] == ["error"]
        leaf = realm.identity(CA1.issue())
        assert serial(await provider.fresh()) == leaf.serial


@pytest.mark.alone
async def test_no_handshake_fails_while_files_are_written_all_the_time(realm: Realm) -> None:
    """Careless writers included: in place, certificate before key, with half a file in between."""
    served: set[str] = set()
    last: list[str] = []
    enough = threading.Event()

    def write() -> None:
        cert, key = Path(realm.files.cert_file), Path(realm.files.key_file)
        while not enough.is_set():
            leaf = CA1.issue()
            cert.write_bytes(leaf.chain_pem[:300])
            cert.write_bytes(leaf.chain_pem)
            key.write_bytes(leaf.key_pem)
            last.append(leaf.serial)

    async with following() as found:
        ours, theirs = found.provider(realm.files), found.provider(realm.files, Role.SERVER)
        async with anyio.create_task_group() as tasks:
            await ours.fresh()
            await theirs.fresh()
            tasks.start_soon(anyio.to_thread.run_sync, write)
            try:
                with anyio.fail_after(20):
                    while len(served) < 10:
                        outcome = shake((await ours.fresh()).context, (await theirs.fresh()).context)
                        assert outcome.ok, (outcome.client_error, outcome.server_error)
                        served.add(serial(theirs.current()))
            finally:
                enough.set()
        assert serial(await theirs.fresh()) == last[-1]
