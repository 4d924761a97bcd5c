import json
from typing import Any

import anyio
import msgspec
import pytest

from app.demo.board import Board, rows

pytestmark = pytest.mark.anyio

TLS: dict[str, Any] = {
    "group": "eu",
    "generation": 2,
    "version": "TLSv1.3",
    "serial": "ab12",
    "sans": ["IP:127.0.0.1", "URI:spiffe://eu.example/store/a"],
    "notAfter": "1970-01-01T00:01:00Z",
    "client": {"subject": "CN=querier", "serial": "cd34", "notAfter": "1970-01-01T00:02:00Z"},
    "lastError": None,
}
CONNECTION: dict[str, Any] = {"ageSeconds": 2.5, "handshakes": 3, "calls": 7, "failures": 1}


def _answer(*stores: dict[str, Any]) -> bytes:
    return json.dumps({"status": "success", "data": {"store": stores}}).encode()


def test_what_the_table_shows_is_found() -> None:
    plain = {"name": "127.0.0.1:2", "lastError": None, "group": "local", "tls": None, "connection": None}
    tls = {"name": "127.0.0.1:1", "lastError": "refused", "tls": TLS, "connection": CONNECTION}
    first, second = rows(_answer(plain, tls), asked_at=100.0)
    assert (first.group, first.address, first.version, first.serial) == (
        "eu",
        "127.0.0.1:1",
        "TLSv1.3",
        "ab12",
    )
    assert first.client_serial == "cd34"
    assert first.identity == "spiffe://eu.example/store/a"
    assert (first.not_after, first.connected_at, first.last_error) == (60.0, 97.5, "refused")
    assert (first.handshakes, first.calls, first.failures) == (3, 7, 1)
    assert (second.group, second.version, second.identity, second.connected_at) == ("local", "", "", None)


def test_another_answer_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        rows(b'{"data": []}', 0.0)


async def test_waiting_for_what_never_holds_ends() -> None:
    board = Board("http://127.0.0.1:9")
    with anyio.fail_after(5):
        assert not await board.until(lambda: False, 0.01)
        assert await board.until(lambda: True, 0.01)
