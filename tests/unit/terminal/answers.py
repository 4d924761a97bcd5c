"""Answers of the API, and consoles to show them on."""

import io
import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from app.terminal.model import Found, Question, found

INSTANT = Question(text="up", start=1_700_000_000_000, end=1_700_000_000_000)
RANGE = Question(text="up", start=1_700_000_000_000, end=1_700_000_150_000, step=15_000)


def body(kind: str, result: Any, **more: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more}).encode()


def answer(kind: str, result: Any, **more: Any) -> Found:
    return found(body(kind, result, **more))


def vector(*values: str) -> Found:
    return answer(
        "vector",
        [
            {"metric": {"__name__": "up", "job": f"job-{number}"}, "value": [1_700_000_000, value]}
            for number, value in enumerate(values)
        ],
    )


def matrix(*rows: Sequence[float]) -> Found:
    return answer(
        "matrix",
        [
            {
                "metric": {"__name__": "up", "job": f"job-{number}"},
                "values": [[1_700_000_000 + 15 * step, str(value)] for step, value in enumerate(row)],
            }
            for number, row in enumerate(rows)
        ],
    )


def terminal(width: int, *, color: bool = False, encoding: str = "utf-8") -> Console:
    file = _Utf8()
    file.encoding = encoding
    return Console(
        file=file,
        width=width,
        force_terminal=True,
        color_system="standard" if color else None,
        highlight=False,
    )


def pipe() -> Console:
    return Console(file=_Utf8(), highlight=False)


class _Utf8(io.StringIO):
    encoding = "utf-8"


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
