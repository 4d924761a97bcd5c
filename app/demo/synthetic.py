"""The gRPC services of a synthetic store: thanos.Store and thanos.info.Info over a `Dataset`."""

from collections.abc import Iterable, Iterator, Sequence

import anyio

from app.demo import wire
from app.demo.dataset import Dataset, StoredSeries
from app.demo.store_options import Faults
from app.errors import CallError, Code
from app.pb.thanos import (
    Label,
    LabelNamesRequest,
    LabelNamesResponse,
    LabelValuesRequest,
    LabelValuesResponse,
    SeriesRequest,
    ZLabelSet,
)
from app.pb.thanos.info import InfoRequest, InfoResponse, StoreInfo, TsdbInfo
from app.rpc.messages import parsed
from app.rpc.model import ServerCall, Service
from app.services.unary import receive_only

_SERIES_FIELD, _BATCH_FIELD = 1, 4
_GARBAGE = b"\xff" * 64
# Bytes handed to the listener at once; it waits for the client's flow control between two of them.
_SEND_SIZE = 256 * 1024
_REMEMBERED_ANSWERS = 128
_REMEMBERED_SIZE = 1024 * 1024


def _messages(found: Iterable[StoredSeries], batch: int, *, skip_chunks: bool) -> Iterator[bytes]:
    encoded = (wire.field(1, series.encoded(skip_chunks=skip_chunks)) for series in found)
    if batch <= 1:
        yield from encoded  # `series` of the response has the number that `series` of a batch has
        return
    waiting: list[bytes] = []
    for series in encoded:
        waiting.append(series)
        if len(waiting) == batch:
            yield wire.field(_BATCH_FIELD, b"".join(waiting))
            waiting.clear()
    if waiting:
        yield wire.field(_BATCH_FIELD, b"".join(waiting))


def _grouped(messages: Iterable[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for message in messages:
        group.append(message)
        size += len(message)
        if size >= _SEND_SIZE:
            yield group
            group, size = [], 0
    if group:
        yield group


class SyntheticStore:
    """Mutable: the answers it remembers, by the bytes of their request; the handlers alone change that."""

    def __init__(self, dataset: Dataset, faults: Faults) -> None:
        self._dataset = dataset
        self._faults = faults
        self._answers: dict[bytes, bytes] = {}

    async def info(self, call: ServerCall) -> None:
        parsed(InfoRequest, await receive_only(call))
        if self._faults.info_delay:
            await anyio.sleep(self._faults.info_delay)
        data = self._dataset
        labels = ZLabelSet(labels=[Label(name=name, value=value) for name, value in data.external_labels])
        tsdb = TsdbInfo(labels=labels, min_time=data.min_time, max_time=data.max_time)
        store = StoreInfo(
            min_time=data.min_time,
            max_time=data.max_time,
            supports_without_replica_labels=not self._faults.keep_replica_labels,
            tsdb_infos=[tsdb],
        )
        await call.send(bytes(InfoResponse(label_sets=[labels], component_type="store", store=store)))

    async def series(self, call: ServerCall) -> None:
        raw = await receive_only(call)
        request = parsed(SeriesRequest, raw)
        await self._misbehave(call)
        remembered = self._answers.get(raw)
        if remembered is not None:
            await call.send_framed([remembered])
            return
        messages = self._series_messages(request)
        if self._faults.paces_messages:
            await self._send_paced(call, messages)
            return
        sent: list[bytes] = []
        size = 0
        for group in _grouped(messages):
            block = wire.framed(group)
            size += len(block)
            if size <= _REMEMBERED_SIZE:
                sent.append(block)
            await call.send_framed([block])
        if size <= _REMEMBERED_SIZE and len(self._answers) < _REMEMBERED_ANSWERS:
            self._answers[raw] = b"".join(sent)

    def _series_messages(self, request: SeriesRequest) -> Iterator[bytes]:
        if self._faults.keep_replica_labels:
            request.without_replica_labels = []
        found: Sequence[StoredSeries] = self._dataset.select(request)
        if self._faults.reversed_order:
            found = found[::-1]
        batch = 1 if self._faults.one_per_message else request.response_batch_size
        return _messages(found, batch, skip_chunks=request.skip_chunks)

    async def _send_paced(self, call: ServerCall, messages: Iterable[bytes]) -> None:
        for count, message in enumerate(messages):
            if count == self._faults.stall_after:
                await anyio.sleep_forever()  # until the client cancels
            if self._faults.pause:
                await anyio.sleep(self._faults.pause)
            await call.send(message)

    async def label_names(self, call: ServerCall) -> None:
        request = parsed(LabelNamesRequest, await receive_only(call))
        await self._misbehave(call)
        await call.send(bytes(LabelNamesResponse(names=self._dataset.label_names(request))))

    async def label_values(self, call: ServerCall) -> None:
        request = parsed(LabelValuesRequest, await receive_only(call))
        await self._misbehave(call)
        await call.send(bytes(LabelValuesResponse(values=self._dataset.label_values(request))))

    async def _misbehave(self, call: ServerCall) -> None:
        faults = self._faults
        if faults.delay:
            await anyio.sleep(faults.delay)
        if faults.fail:
            raise CallError(Code[faults.fail], "the store was told to fail")
        if faults.garbage:
            await call.send(_GARBAGE)

    def services(self) -> list[Service]:
        return [
            Service("thanos.info.Info", {"Info": self.info}),
            Service(
                "thanos.Store",
                {"Series": self.series, "LabelNames": self.label_names, "LabelValues": self.label_values},
            ),
        ]
