import json

import pytest
from rich.console import Console

from app.demo.board import EndpointRow
from app.demo.driver import Tally
from app.demo.summary import Summary, endpoint_summaries
from app.demo.table import picture, progress, relative

ROW = EndpointRow(
    address="127.0.0.1:1",
    group="eu",
    version="TLSv1.3",
    identity="spiffe://eu.example/store/a",
    serial="0123456789abcdef",
    client_serial="",
    not_after=2_000_000_000.0,
    connected_at=1_000.0,
    handshakes=4,
    calls=9,
    failures=0,
    last_error="",
)


def _summary(**changes: object) -> Summary:
    given: dict[str, object] = {
        "calls": 10,
        "failed": 0,
        "rotations": 3,
        "rotations_by_kind": {"leaf": 1, "authority": 1, "listener": 1},
        "handshakes": 5,
        "seconds": 2.0,
        "calls_per_second": 5.0,
        "missed": [],
        "faults": [],
        "endpoints": endpoint_summaries([ROW]),
    }
    return Summary(**{**given, **changes})  # type: ignore[arg-type]


def test_a_good_run_has_no_problems() -> None:
    assert _summary().lacking() == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"failed": 1}, "1 of 10"),
        ({"calls": 0}, "no call"),
        ({"missed": ["new leaves of eu"]}, "new leaves of eu"),
        ({"rotations_by_kind": {"leaf": 1, "authority": 0}}, "authority"),
    ],
)
def test_what_makes_a_run_bad(changes: dict[str, object], word: str) -> None:
    assert any(word in problem for problem in _summary(**changes).lacking())


def test_an_interrupted_run_need_not_have_told_everything() -> None:
    assert _summary(rotations_by_kind={"leaf": 1, "authority": 0}).problems == []


def test_json_has_the_promised_keys() -> None:
    found = json.loads(_summary().json())
    assert found["calls"] == 10
    assert {"calls", "failed", "rotations", "handshakes", "endpoints"} <= set(found)
    assert found["endpoints"][0]["identity"] == ROW.identity


def test_lines_name_what_failed() -> None:
    assert any("up: a warning" in line for line in _summary(faults=["up: a warning"]).lines())


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (-1, "expired"), (0.4, "0s"), (59.9, "59s"), (61, "1m01s"), (3660, "1h01m")],
)
def test_relative_times(seconds: float | None, shown: str) -> None:
    assert relative(seconds) == shown


def test_the_picture_has_a_row_for_each_endpoint_and_the_last_events() -> None:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    tally = Tally()
    tally.count("up", "")
    tally.count("up", "late")
    events = [(0.0, f"event {number}") for number in range(20)]
    console.print(picture([ROW], events, progress(tally, 2.0, 3), failed=True))
    console.file.close()
    text = console.export_text()
    assert "spiffe://eu.example/store/a" in text
    assert "01234567" in text
    assert "event 19" in text
    assert "event 5" not in text
    assert "2 calls (1 a second), 1 failed, 3 rotations" in text
