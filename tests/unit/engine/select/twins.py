"""Plain Python twins of the kernels, and the answers that tests feed them with: slow, and obviously right."""

import math
import struct
from collections.abc import Mapping, Sequence

import numpy as np

from app.demo import xor
from app.engine import kernels
from app.engine.model import Labels
from app.pb.thanos import AggrChunk, Chunk, Label, Series
from tests.harness import xor as reading

Sample = tuple[int, float]
NO_FLOATS, NO_PICKS = np.empty(0, np.uint8), np.empty(0, np.int64)


def padded(*payloads: bytes) -> tuple["np.ndarray[tuple[int], np.dtype[np.uint8]]", list[int]]:
    """Payloads end to end with what loads may read past the last, and where each begins."""
    starts, at = [], 0
    for payload in payloads:
        starts.append(at)
        at += len(payload)
    return np.frombuffer(bytearray(b"".join(payloads) + bytes(kernels.PADDING)), np.uint8), starts


def bits(value: float) -> int:
    """Of a float, so that NaNs compare."""
    return int(struct.unpack(">Q", struct.pack(">d", value))[0])


def same(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    """Samples as values that compare."""
    return [(time, bits(value)) for time, value in samples]


def zipped(times: "np.ndarray[tuple[int], np.dtype[np.int64]]", values: object) -> list[Sample]:
    return list(zip(times.tolist(), np.asarray(values).tolist(), strict=True))


def bounded(chunks: Sequence[bytes], start: int, end: int) -> list[Sample]:
    """The twin of `decode_lane`."""
    kept: list[Sample] = []
    for chunk in chunks:
        for time, value in reading.decode(chunk) if chunk[:2] != b"\0\0" else []:
            if time > end:
                return kept
            if time >= start and (not kept or time > kept[-1][0]):
                kept.append((time, value))
    return kept


class Cursor:
    """Mutable: a position among the samples of one replica, and what its values are raised by.

    :param back: whether seeking begins at the first sample again, as a test double of Thanos does it.
    """

    def __init__(self, samples: Sequence[Sample], back: bool) -> None:
        self.samples = samples
        self.at = 0
        self.raised = 0.0
        self.exhausted = not samples
        self._back = back

    def seek(self, time: int) -> None:
        if self.exhausted:
            return
        if self._back:
            self.at = 0
        while self.at < len(self.samples) and self.samples[self.at][0] < time:
            self.at += 1
        self.exhausted = self.at == len(self.samples)

    @property
    def time(self) -> int:
        return self.samples[self.at][0]

    @property
    def value(self) -> float:
        return self.samples[self.at][1] + self.raised

    def raise_to(self, value: float) -> None:
        if not self.exhausted and value > self.value:
            self.raised += value - self.value


def penalty(
    first: Sequence[Sample], second: Sequence[Sample], *, counter: bool = False, back: bool = False
) -> list[Sample]:
    """The twin of `penalty_merge`, told as Thanos tells it."""
    a, b = Cursor(first, back), Cursor(second, back)
    used, last = a, -math.inf
    penalties = {a: 0, b: 0}
    merged: list[Sample] = []
    while True:
        before, value = used, None if used.exhausted else used.value
        for cursor in (a, b):
            if last != -math.inf:
                cursor.seek(int(last) + 1 + penalties[cursor])
        left = [cursor for cursor in (a, b) if not cursor.exhausted]
        if not left:
            return merged
        used = min(left, key=lambda cursor: cursor.time)
        if len(left) == 2:
            loser = b if used is a else a
            penalties[loser] = 5000 if last == -math.inf else 2 * (used.time - int(last))
        penalties[used] = 0
        last = used.time
        if counter and used is not before and value is not None:
            a.raise_to(value)
            b.raise_to(value)
        merged.append((used.time, used.value))


def penalty_all(
    replicas: Sequence[Sequence[Sample]], *, counter: bool = False, back: bool = False
) -> list[Sample]:
    merged = list(replicas[0])
    for replica in replicas[1:]:
        merged = penalty(merged, replica, counter=counter, back=back)
    return merged


def chain(replicas: Sequence[Sequence[Sample]]) -> list[Sample]:
    """The twin of `chain_merge`, of all replicas."""
    found: dict[int, float] = {}
    for replica in replicas:
        for time, value in replica:
            found.setdefault(time, value)
    return sorted(found.items())


def running_total(samples: Sequence[Sample]) -> list[Sample]:
    """The twin of `remove_resets`."""
    totals: list[Sample] = []
    last = 0.0
    for time, value in samples:
        if value != value:
            continue
        if not totals:
            totals.append((time, value))
        elif time > totals[-1][0]:
            totals.append((time, totals[-1][1] + (value - last if value >= last else value)))
        elif time < totals[-1][0]:
            continue
        last = value
    return totals


def lanes_of(
    chunks: Sequence[tuple[int, int, bytes]], *, apart: bool = True
) -> list[list[tuple[int, int, bytes]]]:
    """The twin of `split`, for one series."""
    lanes: list[list[tuple[int, int, bytes]]] = []
    for chunk in sorted(set(chunks)):
        free = (lane for lane in lanes if not apart or lane[-1][1] < chunk[0])
        lane = next(free, None)
        if lane is None:
            lanes.append([chunk])
        else:
            lane.append(chunk)
    return lanes


def answered(labels: Labels | Mapping[str, str], *chunks: Sequence[Sample]) -> Series:
    """A series as endpoints send it."""
    pairs = sorted(labels.items()) if isinstance(labels, Mapping) else labels
    return Series(
        labels=[Label(name=name, value=value) for name, value in pairs],
        chunks=[
            AggrChunk(min_time=samples[0][0], max_time=samples[-1][0], raw=Chunk(data=xor.encode(samples)))
            for samples in chunks
        ],
    )
