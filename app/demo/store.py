"""A synthetic store as a process: ``python -m app.demo.store --realm eu --replica a --cert ...``.

Serves thanos.Store and thanos.info.Info over the listener that the querier itself uses. The first line on
stdout is one JSON object with the bound addresses; it is written when calls are accepted.
"""

import importlib.util
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

import anyio
import msgspec

from app.demo import wire
from app.demo.dataset import Dataset, StoredSeries
from app.demo.store_options import Faults, StoreOptions, parse
from app.errors import CallError, Code, CrossrealmError
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
from app.rpc.model import ServerCall, Service
from app.services.unary import parsed, receive_only

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


def _announce(addresses: Sequence[str]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode({"addresses": addresses}) + b"\n")
    sys.stdout.buffer.flush()


async def serve(options: StoreOptions) -> None:
    """Serve until SIGTERM or SIGINT, then let the calls in flight end.

    :raises CrossrealmError: an address or the certificates cannot be used.
    """
    # Imported here: a wrong option is reported without the cost of the listener.
    from prometheus_client import CollectorRegistry

    from app.rpc.listener import Listener, ListenerOptions, bind
    from app.rpc.server_metrics import ServerMetrics
    from app.tls.cache import CertificateCache
    from app.tls.metrics import TlsMetrics
    from app.tls.model import Role, TlsFiles, TlsPolicy

    registry = CollectorRegistry()
    cache = CertificateCache(metrics=TlsMetrics(registry))
    metrics = ServerMetrics(registry)
    tls = None
    if options.cert_file:
        files = TlsFiles(
            cert_file=options.cert_file, key_file=options.key_file, ca_file=options.client_ca_file
        )
        policy = TlsPolicy(min_version=options.min_version, verify_peer=bool(options.client_ca_file))
        tls = cache.provider("store", Role.SERVER, files, policy)
        await tls.fresh()  # certificates that cannot be used are an error at start
    listener_options = ListenerOptions(
        max_connection_age=options.max_connection_age, drain_window=options.drain_window
    )
    listeners, addresses = [], []
    for number in range(options.count):
        replica = options.replica if options.count == 1 else f"{options.replica}-{number}"
        dataset = Dataset(options.realm, replica, options.shape)
        sockets = bind(options.address)
        host, port = sockets[0].getsockname()[:2]
        addresses.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        services = SyntheticStore(dataset, options.faults).services()
        listeners.append(Listener(services, sockets, tls=tls, options=listener_options, metrics=metrics))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.run)
        for listener in listeners:
            await tasks.start(listener.run)
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            _announce(addresses)
            async for _ in signals:
                break
        async with anyio.create_task_group() as drains:
            for listener in listeners:
                drains.start_soon(listener.drain, options.grace)
        tasks.cancel_scope.cancel()


def main(arguments: Sequence[str]) -> NoReturn:
    options = parse(arguments)
    try:
        anyio.run(
            serve,
            options,
            backend_options={"use_uvloop": importlib.util.find_spec("uvloop") is not None},
        )
    except CrossrealmError as error:
        sys.exit(f"store: {error}")
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
