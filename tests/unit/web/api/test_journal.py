"""`queries.active`: what runs is in it, what has ended is not, and what was left is told."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config.model import QuerySettings
from app.config.query_options import QueryOptions
from app.engine.request import Answer, QueryRequest
from app.errors import ConfigError
from app.web.api.journal import NAME, SLOT, Entry, Journal, _entries, _slot
from tests.unit.web.api.fakes import NOW, FakeEngine, client


def opened(directory: Path, slots: int = 2) -> Journal:
    return Journal(directory, slots, lambda: NOW)


def test_queries_come_and_go(tmp_path: Path) -> None:
    journal, path = opened(tmp_path / "new"), tmp_path / "new" / NAME
    assert path.stat().st_size == 1 + 2 * SLOT
    with journal.running("up"), journal.running("down"), journal.running("one too many"):
        assert {each.query for each in _entries(path.read_bytes())} == {"up", "down"}
        assert path.read_bytes()[1:].split(b"\0")[0] == b'{"query":"down","timestamp_sec":1700000000}'
    assert _entries(path.read_bytes()) == []
    with pytest.raises(RuntimeError), journal.running("up"):
        raise RuntimeError
    assert _entries(path.read_bytes()) == []
    journal.close()


def test_what_was_left_is_told(tmp_path: Path) -> None:
    first = opened(tmp_path, 5)
    with first.running("a"), first.running('b"\n'):
        second = opened(tmp_path, 1)
        assert {each.query for each in second.unfinished} == {"a", 'b"\n'}
        second.close()
    third = opened(tmp_path)
    assert third.unfinished == []
    third.close()
    first.close()


@pytest.mark.parametrize("content", [b"", b"[", b"x" * 5000, b"[" + b"\xff" * SLOT])
def test_a_broken_file_is_no_obstacle(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    journal = opened(tmp_path)
    assert journal.unfinished == []
    journal.close()


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"--query.active-query-path: .*queries\.active"):
        opened(tmp_path / "file")


@given(st.text(st.characters(codec="utf-8"), max_size=3000))
def test_long_queries_are_cut(query: str) -> None:
    slot = _slot(Entry(query, 1))
    assert (len(slot), slot[-1:]) == (SLOT, b",")
    found = msgspec.json.decode(slot[:-1].rstrip(b"\0"), type=Entry)
    assert query.startswith(found.query)
    assert found.query == query or len(found.query) > 150


@pytest.mark.anyio
async def test_the_api_keeps_it(tmp_path: Path) -> None:
    seen: list[str] = []

    class Looking(FakeEngine):
        async def query(self, request: QueryRequest) -> Answer:
            seen.extend(each.query for each in _entries((tmp_path / NAME).read_bytes()))
            return await super().query(request)

    settings = QuerySettings(query=QueryOptions(active_query_path=str(tmp_path)))
    async with client(Looking(), settings=settings) as http:
        await http.get("/api/v1/query", params={"query": "up"})
    assert seen == ["up"]
    assert _entries((tmp_path / NAME).read_bytes()) == []
