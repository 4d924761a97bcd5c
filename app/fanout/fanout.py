"""One request to all endpoints that can answer it."""

import time
from collections.abc import Callable, Sequence

import anyio

from app.endpoints.model import EndpointSource, EndpointView
from app.errors import CallError, Code
from app.fanout.choosing import BATCH, chosen, narrowed, stream_window
from app.fanout.merging import Merge, Send
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions, RequestContext
from app.fanout.partial import Warnings, aborts, name_of
from app.fanout.source import Source
from app.pb.thanos import (
    LabelNamesRequest,
    LabelNamesResponse,
    LabelValuesRequest,
    LabelValuesResponse,
    SeriesRequest,
)
from app.rpc.messages import parsed

LABEL_NAMES = "/thanos.Store/LabelNames"
LABEL_VALUES = "/thanos.Store/LabelValues"

LabelRequest = LabelNamesRequest | LabelValuesRequest
Answer = tuple[list[str], list[str]]
"""Names or values, and warnings."""


class Fanout:
    """Stateless: what changes is the endpoints' and each request's own."""

    def __init__(self, source: EndpointSource, options: FanoutOptions, metrics: FanoutMetrics) -> None:
        self._source = source
        self._options = options
        self._metrics = metrics

    # -- Series

    async def series(self, request: bytes, context: RequestContext, send: Send) -> None:
        """Merge the series of all endpoints that can match, and hand them to `send` as framed messages.

        :param request: a SeriesRequest; what is not known in it goes to the endpoints as it is.
        :raises CallError: the request is not valid, or something is missing and the client wants all.
        """
        begun = time.monotonic()
        asked = parsed(SeriesRequest, request)
        batch, limit = asked.response_batch_size, asked.limit
        warnings = Warnings(aborts(asked.partial_response_disabled, asked.partial_response_strategy))
        asked.matchers.extend(context.scope.matchers)
        matchers = narrowed(asked, self._options)
        if matchers is None:
            return
        with self._source.lease() as snapshot:
            replica_labels = list(asked.without_replica_labels)
            choice = chosen(
                snapshot,
                matchers,
                (asked.min_time, asked.max_time),
                replica_labels,
                "Series",
                context=context,
                options=self._options,
                warnings=warnings,
                metrics=self._metrics,
            )
            asked.matchers.extend(choice.matchers)
            asked.response_batch_size = BATCH
            forwarded = bytes(asked)
            sources = [self._series_source(view, replica_labels) for view in choice.asked]
            window = stream_window(self._options, len(sources))
            deadline = None if context.timeout is None else time.monotonic() + context.timeout
            failure: CallError | None = None
            async with anyio.create_task_group() as tasks:
                for source in sources:
                    tasks.start_soon(_read, source, forwarded, deadline, context, window)
                merge = Merge(
                    sources,
                    batch=batch,
                    limit=limit,
                    response_timeout=self._options.response_timeout,
                    warnings=warnings,
                    send=send,
                    metrics=self._metrics,
                )
                try:
                    await merge.run()
                except CallError as error:  # raised below, since a task group would wrap it
                    failure = error
                self._metrics.took(time.monotonic() - begun, merge.written)
                tasks.cancel_scope.cancel()
            if failure is not None:
                raise failure

    def _series_source(self, view: EndpointView, replica_labels: Sequence[str]) -> Source:
        supports = view.info is None or view.info.supports_without_replica_labels
        without = () if supports else tuple(replica_labels)
        if without:
            self._metrics.resorted.labels(view.group).inc()
        return Source(view, without=without, resort_buffer=self._options.resort_buffer)

    # -- labels

    async def label_names(self, request: bytes, context: RequestContext) -> bytes:
        """Names of all endpoints that can match, each once, sorted."""
        asked = parsed(LabelNamesRequest, request)
        names, warnings = await self._labels(
            asked, context, LABEL_NAMES, "fetch label names from store", _names
        )
        return bytes(LabelNamesResponse(names=_limited(names, asked.limit), warnings=warnings))

    async def label_values(self, request: bytes, context: RequestContext) -> bytes:
        """Values of one label over all endpoints that can match, each once, sorted."""
        asked = parsed(LabelValuesRequest, request)
        if not asked.label:
            raise CallError(Code.INVALID_ARGUMENT, "label name parameter cannot be empty")
        values, warnings = await self._labels(
            asked, context, LABEL_VALUES, "fetch label values from store", _values
        )
        return bytes(LabelValuesResponse(values=_limited(values, asked.limit), warnings=warnings))

    async def _labels(
        self,
        request: LabelRequest,
        context: RequestContext,
        method: str,
        what: str,
        parse: Callable[[bytes], Answer],
    ) -> tuple[set[str], list[str]]:
        """The union over the endpoints, and warnings."""
        warnings = Warnings(aborts(request.partial_response_disabled, request.partial_response_strategy))
        request.matchers.extend(context.scope.matchers)
        matchers = narrowed(request, self._options)
        if matchers is None:
            return set(), []
        found: set[str] = set()
        # Replicas have the same labels, but for the values of what tells them apart.
        alike = {*request.without_replica_labels, *self._options.replica_labels}
        if isinstance(request, LabelValuesRequest):
            alike.discard(request.label)
        with self._source.lease() as snapshot:
            choice = chosen(
                snapshot,
                matchers,
                (request.start, request.end),
                tuple(alike),
                method.rpartition("/")[2],
                context=context,
                options=self._options,
                warnings=warnings,
                metrics=self._metrics,
            )
            request.matchers.extend(choice.matchers)
            forwarded = bytes(request)
            failures: list[str] = []

            async def ask(view: EndpointView) -> None:
                try:
                    answer = await self._ask(view, method, forwarded, context)
                    names, said = parse(answer)
                except CallError as error:
                    self._metrics.failures.labels(view.group, method.rpartition("/")[2]).inc()
                    failures.append(f"{what} {name_of(view)}: {error}")
                else:
                    found.update(names)
                    failures.extend(said)

            async with anyio.create_task_group() as tasks:
                for view in choice.asked:
                    tasks.start_soon(ask, view)
            for failure in failures:
                warnings.add(failure)
        return found, warnings.all

    async def _ask(self, view: EndpointView, method: str, request: bytes, context: RequestContext) -> bytes:
        limits = [each for each in (context.timeout, self._options.response_timeout) if each]
        return await view.channel.unary(
            method, request, timeout=min(limits, default=None), metadata=context.metadata
        )


async def _read(
    source: Source, request: bytes, deadline: float | None, context: RequestContext, window: int
) -> None:
    timeout = None if deadline is None else max(0.001, deadline - time.monotonic())
    await source.read(request, timeout=timeout, metadata=context.metadata, window=window)


def _names(answer: bytes) -> Answer:
    found = parsed(LabelNamesResponse, answer, failure=Code.INTERNAL)
    return found.names, found.warnings


def _values(answer: bytes) -> Answer:
    found = parsed(LabelValuesResponse, answer, failure=Code.INTERNAL)
    return found.values, found.warnings


def _limited(found: set[str], limit: int) -> list[str]:
    return sorted(found)[:limit] if limit > 0 else sorted(found)
