"""Series answers as endpoints send them, and a plain Python twin of what the kernels make of them."""

from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager

from app.endpoints.model import (
    MAX_TIME,
    MIN_TIME,
    Api,
    EndpointInfo,
    EndpointView,
    Labels,
    Snapshot,
    State,
)
from app.errors import CallError
from app.fanout.wire import framed
from app.pb.thanos import AggrChunk, Chunk, Label, Series, SeriesBatch, SeriesResponse
from app.rpc.model import Metadata

Chunks = Sequence[tuple[int, int, bytes]]


def series(labels: Labels, chunks: Chunks = ()) -> Series:
    return Series(
        labels=[Label(name=name, value=value) for name, value in labels],
        chunks=[AggrChunk(min_time=begin, max_time=end, raw=Chunk(data=data)) for begin, end, data in chunks],
    )


def batch(*found: Series) -> bytes:
    return framed(bytes(SeriesResponse(batch=SeriesBatch(series=list(found)))))


def messages(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 5], "big")
        yield data[at + 5 : at + 5 + size]
        at += 5 + size


class Received:
    """Mutable: what a client got, in order."""

    def __init__(self) -> None:
        self.data = b""

    async def send(self, frames: Sequence[bytes | bytearray | memoryview]) -> None:
        self.data += b"".join(bytes(frame) for frame in frames)

    @property
    def responses(self) -> list[SeriesResponse]:
        return [SeriesResponse.parse(message) for message in messages(self.data)]

    @property
    def series(self) -> list[Series]:
        found: list[Series] = []
        for response in self.responses:
            if response.series is not None:
                found.append(response.series)
            if response.batch is not None:
                found.extend(response.batch.series)
        return found

    @property
    def warnings(self) -> list[str]:
        return [response.warning for response in self.responses if response.warning is not None]


def plain(found: Series) -> tuple[tuple[tuple[bytes, bytes], ...], list[tuple[int, int, bytes]]]:
    """A series as values that compare: labels as bytes, and chunks."""
    labels = tuple((label.name.encode(), label.value.encode()) for label in found.labels)
    chunks = [
        (chunk.min_time, chunk.max_time, chunk.raw.data if chunk.raw else b"") for chunk in found.chunks
    ]
    return labels, chunks


def merged(answers: Sequence[Sequence[Series]]) -> list[object]:
    """The twin of the merge: all series in order of their labels, equal ones together, chunks once."""
    together: dict[tuple[tuple[bytes, bytes], ...], list[list[tuple[int, int, bytes]]]] = {}
    for answer in answers:
        for found in answer:
            labels, chunks = plain(found)
            together.setdefault(labels, []).append(chunks)
    return [
        (labels, own[0] if len(own) == 1 else sorted({chunk for chunks in own for chunk in chunks}))
        for labels, own in sorted(together.items())
    ]


class FakeStream:
    """Mutable: what is left of the answer."""

    def __init__(self, blocks: Sequence[bytes | CallError]) -> None:
        self._blocks = list(blocks)

    async def next_block(self) -> bytes | None:
        if not self._blocks:
            return None
        block = self._blocks.pop(0)
        if isinstance(block, CallError):
            raise block
        return block

    def release(self) -> None:
        pass


class FakeChannel:
    """Mutable: the requests that came, by method. Answers every stream with the same blocks."""

    def __init__(self, address: str, blocks: Sequence[bytes | CallError] = (), answer: bytes = b"") -> None:
        self.address = address
        self.requests: list[bytes] = []
        self._blocks = blocks
        self._answer = answer

    @asynccontextmanager
    async def stream(  # type: ignore[no-untyped-def]
        self, method: str, request: bytes, *, timeout: float | None, metadata: Metadata, window: int = 0
    ):
        self.requests.append(request)
        yield FakeStream(self._blocks)

    async def unary(self, method: str, request: bytes, *, timeout: float | None, metadata: Metadata) -> bytes:
        self.requests.append(request)
        return self._answer


def view(
    address: str,
    channel: FakeChannel | None = None,
    *,
    labels: Labels = (),
    times: tuple[int, int] = (MIN_TIME, MAX_TIME),
    state: State = State.HEALTHY,
    strict: bool = False,
    supports: bool = True,
    known: bool = True,
) -> EndpointView:
    info = EndpointInfo(
        component="store",
        label_sets=(labels,) if labels else (),
        min_time=times[0],
        max_time=times[1],
        apis=frozenset({Api.STORE}),
        supports_without_replica_labels=supports,
    )
    return EndpointView(
        group="eu",
        address=address,
        channel=channel or FakeChannel(address),  # type: ignore[arg-type]
        strict=strict,
        state=state,
        info=info if known else None,
        since=0.0,
        last_check=0.0,
        last_error="" if state is State.HEALTHY else "certificate expired",
    )


class FakeEndpoints:
    """Not mutable: always the same snapshot."""

    def __init__(self, *views: EndpointView) -> None:
        self.snapshot = Snapshot(views)

    def lease(self) -> "FakeEndpoints":
        return self

    def __enter__(self) -> Snapshot:
        return self.snapshot

    def __exit__(self, *exc: object) -> None:
        pass
