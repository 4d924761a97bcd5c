"""The scan of endpoints' bytes against protobuf's own parser: it never crashes, and never lets in what a
client's parser would refuse."""

import subprocess
import sys
import textwrap

from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import CallError
from app.fanout.arena import Arena
from app.fanout.resort import Resorter
from app.pb.thanos import SeriesResponse
from tests.unit.fanout.answers import batch, series

_WHOLE = batch(
    series((("__name__", "up"), ("job", "a\0b")), [(1, 2, b"data"), (3, 4, b"more")]),
    series((("__name__", "up"), ("job", "c")), [(-1, 2**62, b"")]),
)


def _framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=64), st.binary(max_size=40).map(_framed)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        block, _ = Arena().add(data)
    except CallError:
        return
    assert 0 <= block.first <= block.last <= len(data)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(5, len(_WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_what_is_read_of_a_damaged_answer_is_what_the_parser_reads(damage: list[tuple[int, int]]) -> None:
    data = bytearray(_WHOLE)
    for position, byte in damage:
        data[position] = byte
    arena = Arena()
    try:
        block, _ = arena.add(bytes(data))
    except CallError:
        return
    resorter = Resorter(["job"], 1 << 20)
    resorter.add(bytes(data))
    resorter.sort()
    for begin, end in arena.table[block.first : block.last, :2].tolist():
        assert 5 <= begin < end <= len(data)
    # Each series is a message of its own that the parser takes; what the strings hold is not checked here.
    for stripped in resorter.blocks():
        try:
            SeriesResponse.parse(stripped[5:])
        except UnicodeDecodeError:
            pass
        except ValueError as error:
            assert "oneof" in str(error) or "group" in str(error), error


def test_bounds_hold_with_numbas_own_checks() -> None:
    """Plain Python runs the same kernels: an index beyond an array would raise there."""
    code = """
        import random, sys
        from app.errors import CallError
        from app.fanout.arena import Arena
        from tests.fuzz.test_series_wire import _WHOLE, _framed
        chance = random.Random(7)
        for _ in range(150):
            data = bytearray(_WHOLE)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(5, len(data))] = chance.randrange(256)
            cut = bytes(data[5 : chance.randint(5, len(data))])
            arena = Arena()
            arena.data = arena.data[: len(cut) + 5].copy()
            try:
                arena.add(_framed(cut))
            except CallError:
                pass
    """
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        env={"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
