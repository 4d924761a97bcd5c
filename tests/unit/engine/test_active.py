import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.engine.active import NAME, SLOT, ActiveQueries, Entry, encoded, entries

pytestmark = pytest.mark.anyio
NOW = 1_700_000_000.9


@asynccontextmanager
async def kept(directory: Path, slots: int = 2) -> AsyncIterator[ActiveQueries]:
    active = ActiveQueries(directory, slots, now=lambda: NOW)
    async with anyio.create_task_group() as tasks:
        await tasks.start(active.run)
        yield active
        tasks.cancel_scope.cancel()


def as_prometheus_reads_it(directory: Path) -> list[str]:
    text = (directory / NAME).read_bytes().replace(b"\0", b"").decode()
    return [] if text == "[" else [each["query"] for each in json.loads(text[:-1] + "]")]


@contextmanager
def warnings() -> Iterator[list[str]]:
    found: list[str] = []
    with capture_logs() as logs:
        yield found
    found += [each["query"] for each in logs if each["log_level"] == "warning"]


async def settled(active: ActiveQueries) -> None:
    with anyio.fail_after(5):
        await active.settled()


async def test_what_runs_is_in_the_file(tmp_path: Path) -> None:
    async with kept(tmp_path / "new" / "directory") as active:
        directory = tmp_path / "new" / "directory"
        assert as_prometheus_reads_it(directory) == []
        async with active.running("up"):
            async with active.running('rate(x{a="b"}[5m])'):
                await settled(active)
                assert sorted(as_prometheus_reads_it(directory)) == ['rate(x{a="b"}[5m])', "up"]
                assert b'"timestamp_sec":1700000000' in (directory / NAME).read_bytes()
            await settled(active)
            assert as_prometheus_reads_it(directory) == ["up"]
        await settled(active)
        assert as_prometheus_reads_it(directory) == []
        assert (directory / NAME).stat().st_size == 1 + 2 * SLOT


async def test_more_queries_than_slots_run_all_the_same(tmp_path: Path) -> None:
    async with kept(tmp_path, slots=1) as active, active.running("first"):
        async with active.running("second"):
            await settled(active)
            assert as_prometheus_reads_it(tmp_path) == ["first"]
        async with active.running("third"):
            await settled(active)
            assert as_prometheus_reads_it(tmp_path) == ["first"]


async def test_what_a_crash_leaves_behind_is_said_once(tmp_path: Path) -> None:
    async with kept(tmp_path) as active, active.running("sum(huge)"):
        await settled(active)
        left = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(left)
    with warnings() as said:
        async with kept(tmp_path):
            assert as_prometheus_reads_it(tmp_path) == []
    assert said == ["sum(huge)"]
    with warnings() as said:
        async with kept(tmp_path):
            pass
    assert said == []


async def test_a_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    async with kept(tmp_path) as active, active.running("up"):
        await settled(active)
    assert as_prometheus_reads_it(tmp_path) == []


async def test_queries_that_are_not_through_at_a_stop_are_not_lost(tmp_path: Path) -> None:
    async with kept(tmp_path) as active:
        running = active.running("up")
        await running.__aenter__()
    assert as_prometheus_reads_it(tmp_path) == ["up"]
    await running.__aexit__(None, None, None)


async def test_faults_of_the_disk_are_said_once_and_fail_no_query(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with capture_logs() as logs:
        async with kept(tmp_path / "file" / "below") as active:
            for _ in range(3):
                async with active.running("up"):
                    await settled(active)
    assert [each["log_level"] for each in logs] == ["error"]
    assert "not a directory" in logs[0]["err"].lower()


async def test_writes_that_fail_are_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_logs() as logs:
        async with kept(tmp_path) as active:

            def full(*_: object) -> int:
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(os, "pwrite", full)
            for _ in range(3):
                async with active.running("up"):
                    await settled(active)
            monkeypatch.undo()
            async with active.running("up"):
                await settled(active)
                assert as_prometheus_reads_it(tmp_path) == ["up"]
    assert [each.get("err") for each in logs] == ["No space left on device"]


async def test_a_file_that_another_process_keeps_is_let_be(tmp_path: Path) -> None:
    async with kept(tmp_path) as first, first.running("up"):
        await settled(first)
        with capture_logs() as logs:
            async with kept(tmp_path) as second, second.running("down"):
                await settled(second)
        assert [each["log_level"] for each in logs] == ["error"]
        assert as_prometheus_reads_it(tmp_path) == ["up"]


@given(st.text(max_size=3000))
def test_a_slot_has_its_size_whatever_the_query(query: str) -> None:
    slot = encoded(Entry(query, 1))
    assert len(slot) == SLOT
    (found,) = entries(b"[" + slot)
    assert query.encode("utf-8", "replace").decode().startswith(found.query)
    assert len(found.query) >= min(len(query), 150)


def test_what_cannot_be_read_is_passed_over() -> None:
    content = b"[" + encoded(Entry("a", 1)) + b'{"query":"cut' + bytes(SLOT - 13) + encoded(Entry("b", 2))
    assert [each.query for each in entries(content)] == ["a", "b"]
    assert entries(b"") == entries(b"[") == entries(b"\xff" * 3000) == []
    # A directory may have been Prometheus's, with more slots.
    assert len(entries(b"[" + encoded(Entry("a", 1)) * 50)) == 50
