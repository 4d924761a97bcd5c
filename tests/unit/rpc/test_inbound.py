"""The buffer between the wire and a reader: nothing lost, nothing over the window."""

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import CallError, Code
from app.rpc.inbound import BLOCK_SIZE, InboundBuffer

pytestmark = pytest.mark.anyio


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


class Peer:
    """A sender that keeps to the window it is granted."""

    def __init__(self, window: int, limit: int = 1 << 30) -> None:
        self.credit = window
        self.buffer = InboundBuffer(window, limit, self.grant)

    def grant(self, size: int) -> None:
        assert size > 0
        self.credit += size

    def send(self, data: bytes, padding: int = 0) -> bytes:
        """Send what the window allows; the rest is returned."""
        size = min(len(data), self.credit - padding)
        if size <= 0:
            return data
        self.credit -= size + padding
        assert self.buffer.feed(memoryview(data)[:size], size + padding)
        return data[size:]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=300), max_size=20),
    st.lists(st.integers(1, 200), min_size=1, max_size=30),
    st.integers(64, 400),
    st.integers(0, 3),
)
def test_what_is_sent_in_any_pieces_is_read_whole(
    messages: list[bytes], cuts: list[int], window: int, padding: int
) -> None:
    sent = b"".join(framed(message) for message in messages)

    async def play() -> None:
        peer = Peer(window)
        found = bytearray()

        async def write() -> None:
            left, turn = sent, 0
            while left:
                size = cuts[turn % len(cuts)]
                turn += 1
                rest = peer.send(left[:size], padding)
                left = rest + left[size:]
                await anyio.lowlevel.checkpoint()
            peer.buffer.end()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            with anyio.fail_after(10):
                while (block := await peer.buffer.next_block()) is not None:
                    assert block
                    found += block
        assert bytes(found) == sent

    anyio.run(play)


async def test_a_block_ends_at_its_size_with_a_message() -> None:
    peer = Peer(1 << 24)
    message = framed(b"x" * 100_000)
    for _ in range(12):
        assert not peer.send(message)
    peer.buffer.end()
    sizes = []
    while (block := await peer.buffer.next_block()) is not None:
        assert len(block) % len(message) == 0
        sizes.append(len(block))
    assert sum(sizes) == 12 * len(message)
    assert max(sizes) <= BLOCK_SIZE + len(message)


async def test_a_reader_that_stops_makes_the_peer_stop() -> None:
    peer = Peer(1000)
    left = framed(b"a" * 400) * 4
    left = peer.send(left)
    assert peer.credit == 0
    assert await peer.buffer.next_block() is not None
    assert peer.credit == 0, "a block that is held is not consumed"
    peer.buffer.release()
    assert peer.credit == 810


async def test_a_message_larger_than_the_window_is_let_in() -> None:
    peer = Peer(1000)
    left = framed(b"a" * 50_000)

    async def write() -> None:
        nonlocal left
        while left:
            left = peer.send(left)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        with anyio.fail_after(5):
            block = await peer.buffer.next_block()
    assert block is not None
    assert len(block) == 50_005
    peer.buffer.release()
    assert peer.credit == 1000, "what was lent is not returned twice"


async def test_more_than_the_window_is_refused() -> None:
    buffer = InboundBuffer(100, 1000, lambda size: None)
    assert buffer.feed(memoryview(b"x" * 100), 100)
    assert not buffer.feed(memoryview(b"x"), 1)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\2\0\0\0\1x", Code.INTERNAL),
        (b"\0\0\0\4\1" + b"x" * 1025, Code.RESOURCE_EXHAUSTED),
        (b"\0\0\0\0\5abc", Code.INTERNAL),
        (b"\0\0", Code.INTERNAL),
    ],
)
async def test_what_is_no_message_fails_the_call(data: bytes, code: Code) -> None:
    buffer = InboundBuffer(10_000, 1024, lambda size: None)
    good = framed(b"first")
    buffer.feed(memoryview(good), len(good))
    assert bytes(await buffer.next_block() or b"") == good
    buffer.feed(memoryview(data), len(data))
    buffer.end()
    with pytest.raises(CallError) as caught, anyio.fail_after(5):
        await buffer.next_block()
    assert caught.value.code is code


async def test_a_failure_comes_after_what_was_complete() -> None:
    buffer = InboundBuffer(1000, 1000, lambda size: None)
    good = framed(b"first")
    buffer.feed(memoryview(good), len(good))
    buffer.fail(CallError(Code.UNAVAILABLE, "lost"))
    assert bytes(await buffer.next_block() or b"") == good
    with pytest.raises(CallError, match="lost"):
        await buffer.next_block()


async def test_a_reader_that_is_cancelled_can_come_back() -> None:
    buffer = InboundBuffer(1000, 1000, lambda size: None)
    with anyio.move_on_after(0.01):
        await buffer.next_block()
    good = framed(b"later")
    buffer.feed(memoryview(good), len(good))
    assert bytes(await buffer.next_block() or b"") == good
