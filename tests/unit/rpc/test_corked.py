"""Bytes that go out at the end of a turn of the event loop."""

import asyncio
from typing import Any

import anyio.lowlevel
import pytest

from app.rpc.corked import HOLD, CorkedTransport

pytestmark = pytest.mark.anyio


class Wire(asyncio.Transport):
    """Mutable: what was written to it, in the pieces in which it came, and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.ended = ""

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 7

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


async def test_what_one_turn_writes_goes_out_in_order_and_at_once() -> None:
    wire = Wire()
    corked = CorkedTransport(wire)
    for piece in (b"headers", bytearray(b" and "), memoryview(b"data")):
        corked.write(piece)
    assert (wire.written, corked.get_write_buffer_size()) == ([], 7 + 16)
    await anyio.lowlevel.checkpoint()
    assert (wire.written, corked.get_write_buffer_size()) == ([b"headers and data"], 7)
    corked.write(b"more")
    await anyio.lowlevel.checkpoint()
    assert wire.written == [b"headers and data", b"more"]


async def test_much_does_not_wait_and_keeps_its_place() -> None:
    wire = Wire()
    corked = CorkedTransport(wire)
    much = b"x" * HOLD
    corked.write(much)
    assert wire.written == [much]
    corked.write(b"first")
    corked.write(much)
    assert wire.written == [much, b"first" + much]
    await anyio.lowlevel.checkpoint()
    assert len(wire.written) == 2


async def test_closing_writes_what_is_held_and_aborting_does_not() -> None:
    closed, aborted = Wire(), Wire()
    for wire, end in ((closed, CorkedTransport.close), (aborted, CorkedTransport.abort)):
        corked = CorkedTransport(wire)
        corked.write(b"last words")
        end(corked)
        await anyio.lowlevel.checkpoint()
    assert (closed.written, closed.ended) == ([b"last words"], "closed")
    assert (aborted.written, aborted.ended) == ([], "aborted")


async def test_nothing_is_written_to_what_was_lost_meanwhile() -> None:
    wire = Wire()
    corked = CorkedTransport(wire)
    corked.write(b"to nobody")
    wire.ended = "lost"
    await anyio.lowlevel.checkpoint()
    assert wire.written == []


async def test_flushing_does_not_wait() -> None:
    wire = Wire()
    corked = CorkedTransport(wire)
    corked.write(b"now")
    corked.flush()
    assert wire.written == [b"now"]
    await anyio.lowlevel.checkpoint()
    assert wire.written == [b"now"]
