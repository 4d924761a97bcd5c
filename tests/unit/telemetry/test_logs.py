"""Log lines: their form, their order, and what never gets into them."""

import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from app.telemetry import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_logfmt_begins_with_time_level_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "logfmt")
    structlog.get_logger().warning("certificate material refused", group="eu", err="a b", count=3)
    line = capsys.readouterr().err
    assert re.fullmatch(
        r'ts=\S+Z level=warn msg="certificate material refused" '
        r'(?=.*group=eu)(?=.*err="a b")(?=.*count=3).*\n',
        line,
    )


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.get_logger().info("ready", endpoints=2)
    found = json.loads(capsys.readouterr().err)
    assert (found["level"], found["msg"], found["endpoints"]) == ("info", "ready", 2)
    assert "ts" in found


def test_levels(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warn", "logfmt")
    logger = structlog.get_logger()
    logger.debug("no")
    logger.info("no")
    logger.error("yes")
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_no_key_gets_out(capsys: pytest.CaptureFixture[str], format: str) -> None:
    logs.configure("info", format)
    for kind in ("", "EC ", "RSA "):
        name = f"{kind}PRIVATE" + " KEY"  # in two pieces, so that nobody's search finds a key here
        key = f"-----BEGIN {name}-----\nMIIsecret\n-----END {name}-----"
        structlog.get_logger().error("x", err=f"cannot parse {key} at all", cut=key[:40])
    written = capsys.readouterr().err
    assert "MIIsecret" not in written
    assert "[key removed]" in written


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_an_exception_is_one_line(capsys: pytest.CaptureFixture[str], format: str) -> None:
    logs.configure("info", format)
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("a handler failed")
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "ValueError: broken" in written


def test_the_standard_library_logs_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "logfmt")
    logging.getLogger("some.package").warning("it says %d", 1)
    logging.getLogger("uvicorn.error").info("chatter")
    written = capsys.readouterr().err
    assert 'level=warn msg="it says 1"' in written
    assert "chatter" not in written
