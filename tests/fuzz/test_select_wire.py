"""The way from endpoints' bytes to samples never crashes, and never reads outside what it was given."""

import subprocess
import sys
import textwrap

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.demo import xor
from app.engine import kernels
from app.engine.model import EvaluationError
from app.engine.select.assembling import assemble
from app.engine.select.decode import decode
from app.engine.select.intake import Intake
from app.engine.select.odd import Purpose
from app.errors import CallError
from app.fanout.arena import Arena
from app.pb.thanos import Aggr, AggrChunk, Chunk, Label, Series
from tests.unit.engine.select.twins import answered
from tests.unit.fanout.answers import batch

_SAMPLES = [(1_700_000_000_000 + 15_000 * number + number % 3, number / 7) for number in range(9)]
_CHUNK = xor.encode(_SAMPLES)
_DOWNSAMPLED = Series(
    labels=[Label(name="job", value="b")],
    chunks=[
        AggrChunk(
            min_time=_SAMPLES[0][0],
            max_time=_SAMPLES[-1][0],
            count=Chunk(data=_CHUNK),
            sum=Chunk(data=_CHUNK),
            counter=Chunk(data=_CHUNK),
        )
    ],
)
WHOLE = batch(
    answered({"job": "a", "replica": "0"}, _SAMPLES, _SAMPLES[:4]),
    answered({"job": "a", "replica": "1"}, _SAMPLES[2:]),
    _DOWNSAMPLED,
)


def through(data: bytes, aggregates: tuple[Aggr, ...], counter: bool) -> None:
    """All the way; what is refused is refused in the ways that callers know."""
    intake = Intake(["replica"])
    cancel = np.zeros(1, np.uint8)
    try:
        intake.add(data)
        table = assemble(intake, Purpose(0, 2**62, aggregates, counter=counter), cancel)
        found = decode(table, cancel)
    except (CallError, EvaluationError):
        return
    for series in found:
        assert (np.diff(series.times) > 0).all()
        assert len(series.times) == len(series.values)


_aggregates = st.sampled_from([(Aggr.COUNT, Aggr.SUM), (Aggr.COUNTER,), (Aggr.MIN,)])
_damage = st.lists(st.tuples(st.integers(5, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=5)


@settings(max_examples=500, deadline=None)
@given(damage=_damage, aggregates=_aggregates, counter=st.booleans())
def test_a_damaged_answer_is_read_or_refused(
    damage: list[tuple[int, int]], aggregates: tuple[Aggr, ...], counter: bool
) -> None:
    data = bytearray(WHOLE)
    for position, byte in damage:
        data[position] = byte
    through(bytes(data), aggregates, counter)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=64), st.binary(max_size=60).map(lambda data: bytes(5) + data)))
def test_what_the_fan_out_takes_is_taken(data: bytes) -> None:
    """One scan for both: what one client gets, the other can query."""
    framed = data[:1] + (len(data) - 5).to_bytes(4, "big") + data[5:] if len(data) > 5 else data
    refused = []
    for take in (Arena().add, Intake().add):
        try:
            take(framed)
        except CallError:
            refused.append(take)
    assert len(refused) in (0, 2)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=80).map(lambda data: b"\0" + data))
def test_any_bytes_as_a_chunk(payload: bytes) -> None:
    data = np.frombuffer(bytearray(payload + bytes(kernels.PADDING)), np.uint8)
    times, values = np.empty(256, np.int64), np.empty(256, np.uint64)
    out, _ = kernels.decode_chunk(data, 0, len(payload), -(2**60), 2**60, False, times, values, 0)
    assert out in (kernels.MALFORMED, kernels.NO_ROOM) or 0 <= out <= 256
    assert out < 0 or (np.diff(times[:out]) > 0).all()


def test_bounds_hold_with_pythons_own_checks() -> None:
    """Plain Python runs the same kernels: an index beyond an array raises there."""
    code = """
        import random
        from app.pb.thanos import Aggr
        from tests.fuzz.test_select_wire import WHOLE, through
        chance = random.Random(11)
        for number in range(250):
            data = bytearray(WHOLE)
            for _ in range(chance.randint(0, 4)):
                data[chance.randrange(5, len(data))] = chance.randrange(256)
            wanted = chance.choice([(Aggr.COUNT, Aggr.SUM), (Aggr.COUNTER,)])
            through(bytes(data), wanted, number % 2 == 0)
    """
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        env={"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode == 0, result.stderr
