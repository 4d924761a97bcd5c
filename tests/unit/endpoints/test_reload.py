"""The endpoints file, followed: real files, the real clock, and no querier."""

import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import structlog.testing
from prometheus_client import CollectorRegistry

from app.config.endpoints_source import load_endpoints
from app.config.model import EndpointGroup, EndpointsFormat, EndpointsSource, TlsConfig
from app.discovery.watcher import DirectoryWatcher
from app.endpoints import reload as reload_module
from app.endpoints.reconcile import Plan, reconcile
from app.endpoints.reload import EndpointsReload, ReloadMetrics, Staying
from app.errors import ConfigError, Problem
from tests.pki import KubernetesVolume

pytestmark = pytest.mark.anyio

ONE = "- {name: one, endpoints: ['a:1']}\n"
TWO = ONE + "- {name: two, endpoints: ['b:1']}\n"
BAD = "- {name: one, endpoints: [a]}\n- {nome: two, endpoints: ['b:1']}\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload_module, "SETTLED_AFTER", 0.3)
    monkeypatch.setattr(reload_module, "REFUSED_AFTER", 0.6)
    monkeypatch.setattr(reload_module, "MATERIAL_RETRY", 0.05)


class Following:
    """Mutable: what was applied, checked and answered; the test sets `unusable`."""

    def __init__(self, path: Path, interval: float) -> None:
        self.path = path
        self.registry = CollectorRegistry()
        self.watcher = DirectoryWatcher()
        source = EndpointsSource(format=EndpointsFormat.CROSSREALM, path=str(path))
        self.groups: tuple[EndpointGroup, ...] = load_endpoints(source).groups
        self.applied: list[list[str]] = []
        self.checked: list[list[str]] = []
        self.unusable: list[Problem] = []
        self.reload = EndpointsReload(
            source,
            self.groups,
            interval=interval,
            check=self.check,
            apply=self.apply,
            watcher=self.watcher,
            metrics=ReloadMetrics(self.registry),
            clock=lambda: 1000.0 + len(self.applied),
        )

    async def check(self, groups: Sequence[EndpointGroup]) -> Sequence[Problem]:
        self.checked.append([group.name for group in groups])
        return self.unusable

    def apply(self, groups: Sequence[EndpointGroup]) -> Plan:
        plan = reconcile({group.name: group for group in self.groups}, groups)
        self.groups = tuple(groups)
        self.applied.append([group.name for group in groups])
        return plan

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"crossrealm_endpoints_config_{name}", labels)

    async def until(self, holds: Callable[[], bool]) -> None:
        with anyio.fail_after(20):
            while not holds():  # noqa: ASYNC110
                await anyio.sleep(0.005)

    async def faults(self) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            await self.reload.reload("test")
        return [str(problem).removeprefix(str(self.path)) for problem in caught.value.problems]


@asynccontextmanager
async def following(path: Path, *, interval: float = 3600.0) -> AsyncIterator[Following]:
    found = Following(path, interval)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.watcher.run)
        tasks.start_soon(found.reload.run)
        yield found
        tasks.cancel_scope.cancel()


def put(path: Path, content: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(content)
    temporary.rename(path)


def write(path: Path, content: str) -> None:
    path.write_text(content)


def remove(path: Path) -> None:
    path.unlink()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "endpoints.yaml"
    made.write_text(ONE)
    return made


@pytest.mark.parametrize("change", [put, write])
async def test_a_change_is_found_and_applied(path: Path, change: Callable[[Path, str], None]) -> None:
    async with following(path) as found:
        change(path, TWO)
        await found.until(lambda: found.applied == [["one", "two"]])
        assert found.metric("last_reload_successful") == 1
        assert found.metric("last_reload_success_timestamp_seconds") == 1001
        assert found.metric("reloads_total", result="success") == 1
        change(path, ONE)
        await found.until(lambda: found.applied == [["one", "two"], ["one"]])


async def test_the_poll_alone_finds_a_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.discovery.watcher.DirectoryWatcher.run", lambda self: anyio.sleep_forever())
    async with following(path, interval=0.02) as found:
        write(path, ONE.replace("one", "eno"))
        os.utime(path, ns=(1, 1))  # content counts, not what stat tells
        await found.until(lambda: found.applied == [["eno"]])


async def test_a_volume_of_kubernetes(tmp_path: Path) -> None:
    volume = KubernetesVolume(tmp_path / "config")
    volume.write({"endpoints.yaml": ONE.encode()})
    async with following(tmp_path / "config" / "endpoints.yaml") as found:
        volume.write({"endpoints.yaml": TWO.encode()})
        await found.until(lambda: found.applied == [["one", "two"]])


async def test_what_means_the_same_is_not_applied(path: Path) -> None:
    async with following(path, interval=0.02) as found:
        commented = f"# a comment\n{ONE}"
        write(path, commented)
        await found.until(lambda: found.reload._judged == hashlib.sha256(commented.encode()).hexdigest())
        assert found.applied == []
        assert found.metric("reloads_total", result="success") == 0


async def test_a_bad_file_is_refused_with_all_its_faults_and_a_good_one_applies(path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with following(path) as found:
            put(path, BAD)
            await found.until(lambda: found.metric("last_reload_successful") == 0)
            assert found.applied == []
            assert found.metric("reloads_total", result="failure") == 1
            put(path, TWO)
            await found.until(lambda: found.applied == [["one", "two"]])
            assert found.metric("last_reload_successful") == 1
    faults = [each["err"] for each in logs if each["event"] == "fault of the endpoints file"]
    assert [fault.removeprefix(str(path))[:20] for fault in faults] == [
        ":1: item 1 (one): en",
        ":2: item 2: nome: un",
    ]


async def test_a_refused_file_that_becomes_what_is_in_force_is_good_again(path: Path) -> None:
    async with following(path) as found:
        remove(path)
        await found.until(lambda: found.metric("last_reload_successful") == 0)
        put(path, ONE)
        await found.until(lambda: found.metric("last_reload_successful") == 1)
        assert found.groups[0].endpoints == ("a:1",)


async def test_a_file_that_is_being_written_is_let_be(path: Path) -> None:
    """Cut off anywhere it would lose endpoints, TLS, or sense."""
    whole = "".join(f"- name: g{number}\n  endpoints: ['h{number}:1']\n" for number in range(40))
    async with following(path) as found:
        with path.open("w") as file:
            for line in whole.splitlines(keepends=True):
                file.write(line)
                file.flush()
                await anyio.sleep(0.01)
        await found.until(lambda: bool(found.applied))
        assert [len(each) for each in found.applied] == [40]
        assert found.metric("reloads_total", result="failure") == 0


async def test_a_storm_of_changes_is_one_reload(path: Path) -> None:
    async with following(path) as found:
        for number in range(200):
            put(path, ONE + f"- {{name: n{number}, endpoints: ['b:1']}}\n")
            await anyio.sleep(0.002)
        await found.until(lambda: found.applied[-1:] == [["one", "n199"]])
        assert len(found.applied) <= 3


async def test_asked_for_it_is_read_at_once_and_faults_are_answered(path: Path) -> None:
    async with following(path) as found:
        put(path, BAD)
        assert [fault[:20] for fault in await found.faults()] == [
            ":1: item 1 (one): en",
            ":2: item 2: nome: un",
        ]
        assert await found.faults() == await found.faults()
        put(path, TWO)
        await found.reload.reload("test")
        assert found.applied == [["one", "two"]]
        remove(path)
        assert await found.faults() == [": no such file or directory"]
        assert found.groups[1].name == "two"


async def test_material_of_new_groups_must_be_usable_where_it_is_checked(path: Path) -> None:
    tls = "- {name: eu, tls_config: {ca_file: a}, endpoints: ['c:1']}\n"
    async with following(path) as found:
        found.unusable = [Problem("group eu", "a: no such file")]
        put(path, ONE + tls)
        with pytest.raises(ConfigError, match="a: no such file"):
            await found.reload.reload("test")
        put(path, TWO + tls)
        await found.until(lambda: found.checked[-3:] == [["eu"]] * 3)
        assert found.metric("reloads_total", result="failure") == 1, "it is the same fault"
        assert found.applied == []
        found.unusable = []
        await found.until(lambda: found.applied == [["one", "two", "eu"]])
        assert found.groups[2].tls == TlsConfig(ca_file="a")
        assert found.checked[-1] == ["eu"]
        put(path, tls)
        await found.until(lambda: found.applied[-1] == ["eu"])
        assert found.checked[-1] == [], "its TLS is in force"


async def test_reading_that_hangs_takes_one_thread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release, reads = threading.Event(), list[int]()

    def hang(path: Path) -> bytes:
        reads.append(1)
        release.wait(20)
        return TWO.encode()

    monkeypatch.setattr(reload_module, "READ_LIMIT", 0.05)
    monkeypatch.setattr(reload_module, "read_config", hang)
    found = Following(path, 3600.0)
    try:
        for _ in range(3):
            assert await found.faults() == [": reading it takes longer than 0.05 s"]
        assert len(reads) == 1
    finally:
        release.set()
    monkeypatch.setattr(reload_module, "READ_LIMIT", 10.0)
    await found.until(lambda: not found.reload._in_thread)
    await found.reload.reload("test")
    assert found.applied == [["one", "two"]]


def test_age_begins_anew_with_each_content() -> None:
    staying = Staying()
    assert [
        staying.age(digest, now) for digest, now in (("a", 1), ("a", 3), ("b", 4), ("a", 5), ("a", 9))
    ] == [
        0,
        2,
        0,
        0,
        4,
    ]
