"""One selector asked of all endpoints that can match."""

import math
import time
from collections.abc import Sequence
from functools import partial

import anyio
import anyio.to_thread
import msgspec
import numpy as np

from app.endpoints.model import BlockStream, EndpointSource, EndpointView
from app.engine.budget import Budget, TooMuchMemory
from app.engine.model import Hints
from app.engine.promql.ast import Matcher
from app.engine.promql.errors import ParseError
from app.engine.promql.parser import parse_selector
from app.engine.select.asking import COUNTERS, aggregates, encoded, invalid, label_matchers, series_request
from app.engine.select.assembling import assemble
from app.engine.select.intake import Bytes, Intake
from app.engine.select.model import ChunkTable, SelectOptions
from app.engine.select.odd import Purpose
from app.errors import CallError, Code, FailureKind
from app.fanout.choosing import chosen, narrowed, stream_window
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions, RequestContext
from app.fanout.partial import Warnings, name_of
from app.fanout.selection import StoreMatchers, compiled
from app.fanout.source import SERIES
from app.fanout.wire import WARNING
from app.pb.thanos import SeriesRequest

SAMPLES_PER_CHUNK = 120
"""For which a chunk counts against a limit of samples, as in Thanos."""
SMALL = 128 * 1024
"""Bytes of an answer up to which a thread costs more than it saves."""


class Selected(msgspec.Struct, frozen=True):
    """:param warnings: what is missing, and from which endpoint."""

    table: ChunkTable
    warnings: list[str]


class Selecting:
    """Stateless: what changes is the endpoints' and each selection's own."""

    def __init__(
        self,
        source: EndpointSource,
        options: FanoutOptions,
        metrics: FanoutMetrics,
    ) -> None:
        self._source = source
        self._options = options
        self._metrics = metrics

    async def select(
        self,
        matchers: Sequence[Matcher],
        hints: Hints,
        options: SelectOptions,
        context: RequestContext,
        budget: Budget | None = None,
    ) -> Selected:
        """The series that match, of all endpoints, equal ones put together.

        :param budget: of the query; None: there is no limit.
        :raises TooMuchMemory: the budget has no room for them.
        :raises CallError: the request is not valid, a limit is exceeded, or something is missing and
            `options` want all.
        """
        begun = time.monotonic()
        request = series_request(matchers, hints, options)
        warnings = Warnings(options.abort)
        replica_labels = request.without_replica_labels
        intake = Intake(replica_labels, budget)
        remaining = narrowed(request, self._options)
        if remaining is not None:
            reading = _Reading(intake, warnings, options, self._metrics)
            context = msgspec.structs.replace(context, store_matchers=store_matchers(options.store_matchers))
            with self._source.lease() as snapshot:
                choice = chosen(
                    snapshot,
                    remaining,
                    (hints.start, hints.end),
                    replica_labels,
                    "Series",
                    context=context,
                    options=self._options,
                    warnings=warnings,
                    metrics=self._metrics,
                )
                request.matchers.extend(choice.matchers)
                await self._read(choice.asked, request, context, reading)
        purpose = Purpose(
            start=hints.start,
            end=hints.end,
            aggregates=aggregates(hints.func),
            apart=bool(replica_labels),
            counter=hints.func in COUNTERS,
            chain=options.chain,
            shard=request.shard_info,
        )
        size = intake.size
        table = await _assembled(intake, purpose)
        self._metrics.took(time.monotonic() - begun, len(table))
        if size:
            self._metrics.series.inc(len(table))
        return Selected(table, warnings.all)

    async def _read(
        self,
        views: Sequence[EndpointView],
        request: SeriesRequest,
        context: RequestContext,
        reading: "_Reading",
    ) -> None:
        """Read all endpoints to their ends, or until one fails that all depends on."""
        read = partial(
            reading.read,
            request=encoded(request),
            window=stream_window(self._options, len(views)),
            silence=self._options.response_timeout or math.inf,
            context=context,
        )
        async with anyio.create_task_group() as tasks:
            reading.stop = tasks.cancel_scope.cancel
            for view in views:
                tasks.start_soon(read, view)
        if reading.failure is not None:
            raise reading.failure


def _never() -> None:
    pass


class _Reading:
    """Mutable: the intake, the warnings, and the failure that ends it all; shared by the tasks that read the
    endpoints of one selection.

    :ivar stop: ends all of them.
    """

    def __init__(
        self,
        intake: Intake,
        warnings: Warnings,
        options: SelectOptions,
        metrics: FanoutMetrics,
    ) -> None:
        self.failure: CallError | TooMuchMemory | None = None
        self.stop = _never
        self._intake = intake
        self._warnings = warnings
        self._options = options
        self._metrics = metrics

    async def read(
        self, view: EndpointView, *, request: bytes, window: int, silence: float, context: RequestContext
    ) -> None:
        """Take in the answer of one endpoint; its failure is a warning, or the failure of all."""
        try:
            try:
                await self._stream(view, request, window, silence, context)
            except CallError as error:
                self._metrics.failures.labels(view.group, "Series").inc()
                self._warnings.add(f"receive series from {name_of(view)}: {error}")
        except (CallError, TooMuchMemory) as error:  # kept, since a task group would wrap it
            self._fail(error)

    async def _stream(
        self, view: EndpointView, request: bytes, window: int, silence: float, context: RequestContext
    ) -> None:
        with anyio.CancelScope() as patience:
            patience.deadline = anyio.current_time() + silence
            async with view.channel.stream(
                SERIES, request, timeout=context.timeout, metadata=context.metadata, window=window
            ) as stream:
                await self._blocks(stream, patience, silence)
        if patience.cancelled_caught:
            raise CallError(
                Code.DEADLINE_EXCEEDED,
                f"failed to receive any data in {silence:g} s from {view.address}",
                FailureKind.TIMEOUT,
            )

    async def _blocks(self, stream: BlockStream, patience: anyio.CancelScope, silence: float) -> None:
        intake = self._intake
        series = chunks = 0
        while True:
            patience.deadline = anyio.current_time() + silence
            content = await stream.next_block()
            if content is None:
                return
            before = intake.series, intake.chunk_count
            others = intake.add(content)
            series += intake.series - before[0]
            chunks += intake.chunk_count - before[1]
            if not (self._within_limits(series, chunks) and self._say(others)):
                return

    def _say(self, others: Sequence[tuple[int, bytes]]) -> bool:
        """Pass on the warnings in an answer; whether all goes on. Not a failure of the endpoint."""
        try:
            for kind, found in others:
                if kind == WARNING:
                    self._warnings.add(found.decode("utf-8", "replace"))
        except CallError as error:
            self._fail(error)
            return False
        return True

    def _within_limits(self, series: int, chunks: int) -> bool:
        """Whether all goes on, with so many series and chunks of one endpoint. These limits are the
        operator's: an answer cut at them would be wrong."""
        text = ""
        samples, limits = chunks * SAMPLES_PER_CHUNK, self._options
        if limits.series_limit and series > limits.series_limit:
            text = f"failed to send series: limit {limits.series_limit} violated (got {series})"
        elif limits.samples_limit and samples > limits.samples_limit:
            text = f"failed to send samples: limit {limits.samples_limit} violated (got {samples})"
        try:
            if text:
                raise CallError(Code.RESOURCE_EXHAUSTED, text)
            self._intake.require()
        except (CallError, TooMuchMemory) as error:
            self._fail(error)
            return False
        return True

    def _fail(self, error: CallError | TooMuchMemory) -> None:
        if self.failure is None:
            self.failure = error
        self.stop()


async def _assembled(intake: Intake, purpose: Purpose) -> ChunkTable:
    cancel: Bytes = np.zeros(1, np.uint8)
    if intake.size <= SMALL:
        return assemble(intake, purpose, cancel)
    try:
        return await anyio.to_thread.run_sync(assemble, intake, purpose, cancel, abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        cancel[0] = 1
        raise


def store_matchers(texts: Sequence[str]) -> tuple[StoreMatchers, ...]:
    """Selectors of endpoints, ready to be asked.

    :param texts: ``{__address__=~"eu-.*"}``.
    :raises CallError: one cannot be read.
    """
    sets = []
    for text in texts:
        try:
            sets.append(tuple(compiled(matcher) for matcher in label_matchers(parse_selector(text))))
        except ParseError as error:
            raise invalid(text, error) from None
    return tuple(sets)
