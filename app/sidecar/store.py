"""thanos.Store in front of one Prometheus."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import anyio.to_thread
import msgspec

from app.endpoints.model import Labels
from app.errors import CallError, Code, FailureKind
from app.fanout.apis.selectors import selector
from app.fanout.resort import Resorter
from app.fanout.wire import field, framed
from app.pb.thanos import (
    LabelMatcher,
    LabelNamesRequest,
    LabelNamesResponse,
    LabelValuesRequest,
    LabelValuesResponse,
    SeriesRequest,
)
from app.rpc.messages import parsed
from app.rpc.model import SERVER_STREAM, ServerCall, Service
from app.services.unary import receive_only
from app.sidecar.client import PrometheusClient
from app.sidecar.external_labels import narrowed
from app.sidecar.heartbeat import Heartbeat
from app.sidecar.metrics import SidecarMetrics
from app.sidecar.own_labels import OwnLabels
from app.sidecar.remote_read import ReadAnswer, remote_read
from app.sidecar.sampled import SMALL, frames_of_samples
from app.sidecar.selectors import escaped_name, seconds
from app.sidecar.translation import SAMPLES_PER_CHUNK, OutOfOrder, Shard, Translation, TranslationOptions

NAME = "thanos.Store"


class StoreLimits(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param max_series, max_samples: of one Series call; 0: no limit.
    :param resort_buffer: bytes that an answer may take up when it has to be sorted here.
    """

    max_series: int = 0
    max_samples: int = 0
    resort_buffer: int = 256 * 1024 * 1024


class _Data(msgspec.Struct, frozen=True):
    data: msgspec.Raw


class Store:
    """Stateless: what is known of Prometheus is the heartbeat's."""

    def __init__(
        self,
        client: PrometheusClient,
        heartbeat: Heartbeat,
        own_labels: OwnLabels,
        limits: StoreLimits,
        metrics: SidecarMetrics,
    ) -> None:
        self._client = client
        self._heartbeat = heartbeat
        self._own_labels = own_labels
        self._limits = limits
        self._metrics = metrics

    def service(self) -> Service:
        return Service(
            NAME,
            {"Series": self.series, "LabelNames": self.label_names, "LabelValues": self.label_values},
            streaming={"Series": SERVER_STREAM},
        )

    # -- Series

    async def series(self, call: ServerCall) -> None:
        """Stream the series that match, in the order of the labels that they go out with.

        :raises CallError: the request is not valid, Prometheus does not answer, or a limit is exceeded.
        """
        request = parsed(SeriesRequest, await receive_only(call))
        external = self._heartbeat.external_labels()
        matchers = narrowed(request.matchers, external)
        if matchers is None:
            return
        if not matchers:
            raise CallError(Code.INVALID_ARGUMENT, "no matchers specified (excluding external labels)")
        options = self._options(request, external)
        min_time = max(request.min_time, self._heartbeat.min_time())
        if min_time > request.max_time:
            return
        try:
            if request.skip_chunks:
                await self._series_labels(call, request, matchers, min_time, options)
            else:
                await self._series_chunks(call, request, matchers, min_time, options)
        except OutOfOrder:
            self._own_labels.forget()  # what was known about them is wrong
            raise
        except CallError as error:
            if error.kind is FailureKind.CONNECT:
                self._heartbeat.look_now()
            raise

    def _options(self, request: SeriesRequest, external: Labels) -> TranslationOptions:
        info = request.shard_info
        shard = None
        if info is not None and info.total_shards > 0:
            shard = Shard(info.shard_index, info.total_shards, info.by, tuple(info.labels))
        return TranslationOptions(
            external=external,
            without=tuple(request.without_replica_labels),
            batch=request.response_batch_size,
            limit=request.limit,
            max_series=self._limits.max_series,
            # Thanos counts a chunk as so many samples, and so does whoever sets the limit.
            max_chunks=self._limits.max_samples // SAMPLES_PER_CHUNK if self._limits.max_samples else 0,
            hold=self._limits.resort_buffer,
            shard=shard,
        )

    async def _series_chunks(
        self,
        call: ServerCall,
        request: SeriesRequest,
        matchers: Sequence[LabelMatcher],
        min_time: int,
        options: TranslationOptions,
    ) -> None:
        decided = {name for name, _ in options.external} | set(options.without)
        resort = await self._own_labels.any_of(decided)
        async with remote_read(self._client, min_time, request.max_time, matchers) as answer:
            if answer.sampled:
                self._metrics.sampled.inc()
            # Prometheus that old does not promise an order.
            if resort or answer.sampled:
                self._metrics.resorted.inc()
                await self._sorted(call, answer, options)
            else:
                await self._streamed(call, answer, options)

    async def _streamed(self, call: ServerCall, answer: ReadAnswer, options: TranslationOptions) -> None:
        translation = Translation(options)
        try:
            async for part in answer.parts():
                if translation.add(part):
                    for content in translation.translated(final=False):
                        await call.send_framed([content])
                    if translation.done:
                        return
            for content in translation.translated(final=True):
                await call.send_framed([content])
        finally:
            self._count(translation)

    async def _sorted(self, call: ServerCall, answer: ReadAnswer, options: TranslationOptions) -> None:
        """Collect the whole answer, sort it, and send it.

        :raises CallError: it is larger than the buffer.
        """
        one_each = msgspec.structs.replace(options, batch=0, limit=0)
        translation = Translation(one_each, in_order=False)
        resorter = Resorter((), options.hold, "--sidecar.resort-buffer")
        try:
            parts = frames_of_samples(answer.parts(), options.hold) if answer.sampled else answer.parts()
            async for part in parts:
                if translation.add(part):
                    for content in translation.translated(final=False):
                        resorter.add(bytes(content))
            for content in translation.translated(final=True):
                resorter.add(bytes(content))
        finally:
            self._count(translation)
        if resorter.size < SMALL:
            resorter.sort()
        else:
            await anyio.to_thread.run_sync(resorter.sort)
        for block in resorter.blocks(options.batch, options.limit):
            await call.send_framed([block])

    def _count(self, translation: Translation) -> None:
        self._metrics.frames.observe(translation.frames)
        self._metrics.series.inc(translation.series)
        self._metrics.read_bytes.inc(translation.bytes)

    async def _series_labels(
        self,
        call: ServerCall,
        request: SeriesRequest,
        matchers: Sequence[LabelMatcher],
        min_time: int,
        options: TranslationOptions,
    ) -> None:
        """Labels only, from the series API."""
        found = await self._label_sets(matchers, min_time, request.max_time, request.limit)
        content = await anyio.to_thread.run_sync(_label_messages, found, options)
        for block in content.blocks(options.batch, options.limit):
            await call.send_framed([block])

    # -- labels

    async def label_names(self, call: ServerCall) -> None:
        """Names of the labels of all series that match, with the external ones."""
        request = parsed(LabelNamesRequest, await receive_only(call))
        external = self._heartbeat.external_labels()
        matchers = narrowed(request.matchers, external)
        if matchers is None:
            await call.send(bytes(LabelNamesResponse()))
            return
        names = await self._strings("/api/v1/labels", None, matchers, request)
        if names:
            names.update(name for name, _ in external)
            names.difference_update(request.without_replica_labels)
        await call.send(bytes(LabelNamesResponse(names=_limited(names, request.limit))))

    async def label_values(self, call: ServerCall) -> None:
        """Values of one label. That of an external label is there if any series matches."""
        request = parsed(LabelValuesRequest, await receive_only(call))
        label = request.label
        if not label:
            raise CallError(Code.INVALID_ARGUMENT, "label name parameter cannot be empty")
        external = self._heartbeat.external_labels()
        matchers = narrowed(request.matchers, external)
        values: set[str] = set()
        if matchers is None or label in request.without_replica_labels:
            pass
        elif label in dict(external):
            if not matchers or await self._label_sets(matchers, request.start, request.end, 1):
                values = {dict(external)[label]}
        else:
            path = f"/api/v1/label/{escaped_name(label)}/values"
            values = await self._strings(path, label, matchers, request)
        await call.send(bytes(LabelValuesResponse(values=_limited(values, request.limit))))

    async def _strings(
        self,
        path: str,
        label: str | None,
        matchers: Sequence[LabelMatcher],
        request: LabelNamesRequest | LabelValuesRequest,
    ) -> set[str]:
        """Names of labels, or values of `label`."""
        if not matchers or supports_matchers(self._heartbeat.peer().version):
            return set(await self._get(path, list[str], matchers, request.start, request.end, request.limit))
        found = await self._label_sets(matchers, request.start, request.end, 0)
        if label is None:
            return {name for labels in found for name in labels}
        return {labels[label] for labels in found if label in labels}

    async def _label_sets(
        self, matchers: Sequence[LabelMatcher], start: int, end: int, limit: int
    ) -> list[dict[str, str]]:
        kind = list[dict[str, str]]
        return cast(
            list[dict[str, str]], await self._get("/api/v1/series", kind, matchers, start, end, limit)
        )

    async def _get(
        self, path: str, kind: Any, matchers: Sequence[LabelMatcher], start: int, end: int, limit: int
    ) -> Any:
        params = [("match[]", selector(matchers))] if matchers else []
        params += [("start", seconds(start)), ("end", seconds(end))]
        if limit > 0:  # Prometheus from 2.53 on; older ones send all
            params.append(("limit", str(limit)))
        body = await self._client.get(path, params)
        try:
            return msgspec.json.decode(msgspec.json.decode(body, type=_Data).data, type=kind | None) or []
        except msgspec.DecodeError as error:
            raise CallError(
                Code.INTERNAL, f"{self._client.shown}{path}: not an answer of Prometheus: {error}"
            ) from None


def supports_matchers(version: str) -> bool:
    """Whether the label APIs of a Prometheus take matchers: from 2.24 on. One that does not tell is old."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (2, 24)


def _label_messages(found: Sequence[Mapping[str, str]], options: TranslationOptions) -> Resorter:
    """Series without chunks, sorted."""
    resorter = Resorter((), options.hold, "--sidecar.resort-buffer")
    without = set(options.without)
    for labels in found:
        merged = {**labels, **dict(options.external)}
        entries = (
            field(1, field(1, name.encode()) + field(2, value.encode()))
            for name, value in sorted(merged.items(), key=lambda each: each[0].encode())
            if name not in without
        )
        resorter.add(framed(field(1, b"".join(entries))))
    resorter.sort()
    return resorter


def _limited(found: set[str], limit: int) -> list[str]:
    return sorted(found)[:limit] if limit > 0 else sorted(found)
