"""What a synthetic store holds: series made from its realm and replica, so that anybody can compute them.

The replicas of a realm hold the same series under their own replica label. `up` has the same samples in both,
so that its chunks are identical; all other series differ, so that an answer with a chunk in the wrong place
is noticed.
"""

import random
import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from app.demo import wire, xor
from app.errors import CallError, Code
from app.pb.thanos import LabelMatcher, LabelMatcherType, LabelNamesRequest, LabelValuesRequest, SeriesRequest

Labels = tuple[tuple[str, str], ...]
"""Sorted by name."""

INTERVAL = 15_000  # milliseconds between two samples
CHUNKS = 2
SPAN = INTERVAL * xor.SAMPLES_PER_CHUNK * CHUNKS
DEFAULT_START = 1_700_000_000_000

REALM_LABEL = "realm"
REPLICA_LABEL = "replica"

_SERIES_PER_INSTANCE = 32
# Samples repeat after so many series: a store of a hundred thousand still starts at once.
_DISTINCT = 512

# Metric, the label that tells its series of one instance apart.
_FAMILIES = (
    ("http_requests_total", "handler"),
    ("memory_used_bytes", "pool"),
    ("temperature_celsius", "sensor"),
    ("up", "job"),
)
UP = _FAMILIES.index(("up", "job"))


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How much a store holds.

    :param series: how many.
    :param start: milliseconds since the epoch of the first sample; the last is `SPAN` later.
    :param chunk_bytes: size of each chunk's data; 0: XOR chunks as they come. Others cannot be decoded.
    """

    series: int = 320
    start: int = DEFAULT_START
    chunk_bytes: int = 0


class StoredChunk(msgspec.Struct, frozen=True):
    """Milliseconds since the epoch of its first and last sample, and the bytes of the `AggrChunk`."""

    min_time: int
    max_time: int
    data: bytes
    encoded: bytes


class StoredSeries(msgspec.Struct, frozen=True):
    labels: Labels
    chunks: tuple[StoredChunk, ...]

    def encoded(self, *, skip_chunks: bool = False) -> bytes:
        """The bytes of the `Series`."""
        parts = [
            wire.field(1, wire.field(1, name.encode()) + wire.field(2, value.encode()))
            for name, value in self.labels
        ]
        if not skip_chunks:
            parts += [wire.field(2, chunk.encoded) for chunk in self.chunks]
        return b"".join(parts)


def _values(family: int, count: int, dice: random.Random) -> list[float]:
    name = _FAMILIES[family][0]
    if name == "up":
        return [1.0] * count
    value = float(dice.randrange(1000))
    values = []
    for _ in range(count):
        if name == "http_requests_total":
            value += dice.randrange(40)
        elif name == "memory_used_bytes":
            value = float(dice.randrange(2**20) * 4096)
        else:
            value = round(value + dice.uniform(-1, 1), 1)
        values.append(value)
    return values


def _chunk(samples: Sequence[tuple[int, float]], padded: bytes) -> StoredChunk:
    data = padded or xor.encode(samples)
    min_time, max_time = samples[0][0], samples[-1][0]
    chunk = wire.field(2, data)  # type 0 is XOR, which proto3 does not write
    encoded = wire.varint_field(1, min_time) + wire.varint_field(2, max_time) + wire.field(3, chunk)
    return StoredChunk(min_time, max_time, data, encoded)


def _chunks(realm: str, replica: str, index: int, shape: Shape) -> tuple[StoredChunk, ...]:
    family = index % len(_FAMILIES)
    same_in_replicas = family == UP
    dice = random.Random(f"{realm}/{'' if same_in_replicas else replica}/{index}")
    count = CHUNKS * xor.SAMPLES_PER_CHUNK
    values = _values(family, count, dice)
    # Scrapes are a few milliseconds early or late, which is what the timestamp coding is there for.
    samples = [
        (shape.start + number * INTERVAL + dice.choice((0, 0, 0, 1, 3)), value)
        for number, value in enumerate(values)
    ]
    size = xor.SAMPLES_PER_CHUNK
    return tuple(
        _chunk(samples[first : first + size], dice.randbytes(shape.chunk_bytes))
        for first in range(0, count, size)
    )


def _own_labels(realm: str, index: int) -> dict[str, str]:
    metric, distinguishing = _FAMILIES[index % len(_FAMILIES)]
    within = index % _SERIES_PER_INSTANCE // len(_FAMILIES)
    return {
        "__name__": metric,
        "instance": f"{realm}-node-{index // _SERIES_PER_INSTANCE:04d}",
        distinguishing: f"{distinguishing}-{within}",
    }


def _accepts(matcher: LabelMatcher) -> Callable[[str], bool]:
    wanted = matcher.value
    if matcher.type == LabelMatcherType.EQ:
        return lambda value: value == wanted
    if matcher.type == LabelMatcherType.NEQ:
        return lambda value: value != wanted
    try:
        pattern = re.compile(wanted)
    except re.error as error:
        raise CallError(Code.INVALID_ARGUMENT, f"matcher {matcher.name}: {wanted!r}: {error}") from error
    if matcher.type == LabelMatcherType.RE:
        return lambda value: pattern.fullmatch(value) is not None
    return lambda value: pattern.fullmatch(value) is None


class Dataset:
    """Immutable: all series of one store, made when it is constructed.

    :param realm, replica: the external labels, and what the samples are made from.
    """

    def __init__(self, realm: str, replica: str, shape: Shape | None = None) -> None:
        self.shape = shape or Shape()
        self.external_labels: Labels = ((REALM_LABEL, realm), (REPLICA_LABEL, replica))
        distinct = [
            _chunks(realm, replica, index, self.shape) for index in range(min(_DISTINCT, self.shape.series))
        ]
        self.series = sorted(
            (
                StoredSeries(
                    tuple(sorted({**_own_labels(realm, index), **dict(self.external_labels)}.items())),
                    distinct[index % _DISTINCT],
                )
                for index in range(self.shape.series)
            ),
            key=lambda series: series.labels,
        )
        self.min_time = self.shape.start
        self.max_time = self.shape.start + SPAN

    def select(self, request: SeriesRequest) -> list[StoredSeries]:
        """The series that `request` asks for, in the order of their labels; its limit is kept.

        :raises CallError: a matcher's expression is not one.
        """
        dropped = set(request.without_replica_labels) & {name for name, _ in self.external_labels}
        found = []
        for series in self._matching(request.matchers):
            chunks = tuple(
                chunk
                for chunk in series.chunks
                if chunk.min_time <= request.max_time and chunk.max_time >= request.min_time
            )
            if not chunks:
                continue
            labels = tuple(label for label in series.labels if label[0] not in dropped)
            found.append(StoredSeries(labels, chunks))
        if dropped:
            found.sort(key=lambda series: series.labels)
        return found[: request.limit] if request.limit else found

    def label_names(self, request: LabelNamesRequest) -> list[str]:
        """Sorted; without the replica labels that the request leaves out."""
        dropped = set(request.without_replica_labels)
        names = {
            name
            for series in self._within(request.matchers, request.start, request.end)
            for name, _ in series.labels
        }
        return _limited(names - dropped, request.limit)

    def label_values(self, request: LabelValuesRequest) -> list[str]:
        """Sorted; none for a replica label that the request leaves out."""
        if request.label in request.without_replica_labels:
            return []
        values = {
            value
            for series in self._within(request.matchers, request.start, request.end)
            for name, value in series.labels
            if name == request.label
        }
        return _limited(values, request.limit)

    def _within(self, matchers: Iterable[LabelMatcher], start: int, end: int) -> list[StoredSeries]:
        # Thanos sends no range where the user gave none.
        if (start or end) and (end < self.min_time or start > self.max_time):
            return []
        return self._matching(matchers)

    def _matching(self, matchers: Iterable[LabelMatcher]) -> list[StoredSeries]:
        found = self.series
        for matcher in matchers:
            accepts, name = _accepts(matcher), matcher.name
            found = [series for series in found if accepts(_value(series.labels, name))]
        return found


def _value(labels: Labels, wanted: str) -> str:
    for name, value in labels:
        if name == wanted:
            return value
    return ""


def _limited(found: Iterable[str], limit: int) -> list[str]:
    return sorted(found)[: limit or None]


def merged(answers: Iterable[Iterable[StoredSeries]]) -> list[StoredSeries]:
    """What a querier makes of the answers of several stores: label order, identical chunks once."""
    chunks_of: dict[Labels, list[StoredChunk]] = {}
    for answer in answers:
        for series in answer:
            known = chunks_of.setdefault(series.labels, [])
            known += [chunk for chunk in series.chunks if chunk not in known]
    return [
        StoredSeries(
            labels,
            tuple(sorted(chunks, key=lambda chunk: (chunk.min_time, chunk.max_time, chunk.data))),
        )
        for labels, chunks in sorted(chunks_of.items())
    ]
