"""thanos.Query: PromQL over gRPC, for queriers above that push whole queries down.

Codes are Thanos's, as far as it has any: what goes wrong while a query runs is ABORTED. Of an instant query
that allows partial answers it is a warning, since that is what the querier above would make of it.
"""

import time
from collections.abc import Callable, Iterator

import anyio.to_thread
import betterproto2
import msgspec

from app.config.query_options import QueryOptions
from app.engine.gate import Gate
from app.engine.model import EvaluationError, Matrix, String, Value, Vector, WrongKind
from app.engine.promql.errors import ParseError
from app.engine.request import Answer, Columnar, Engine, QueryCanceled, QueryRequest, QueryTimeout
from app.engine.select.model import SelectOptions
from app.errors import CallError, Code
from app.fanout.apis.selectors import selector
from app.fanout.wire import framed
from app.pb import thanos as pb
from app.rpc.messages import parsed
from app.rpc.model import SERVER_STREAM, ServerCall, Service
from app.services.scopes import NO_SCOPES, Scopes
from app.services.store import forwarded
from app.services.timeseries import messages
from app.services.unary import receive_only

NAME = "thanos.Query"
MAX_STEPS = 11_000
"""Of a range query, as over HTTP."""
BLOCK = 256 * 1024
"""Bytes of messages that are made together, in a thread where there are many."""
MANY = 2000
"""Points from which on there are."""

_LAST = 9_223_309_901_257_974
"""The bound of time as Prometheus's API has it, seconds."""
_NO_STRINGS = "the result is a string, which this API cannot carry"

Asked = pb.QueryRequest | pb.QueryRangeRequest


class Query:
    """Stateless: what changes is the gate's and the engine's own.

    :param replica_labels: those of the flags.
    :param now: seconds since the epoch.
    """

    def __init__(
        self,
        engine: Engine,
        gate: Gate,
        options: QueryOptions,
        replica_labels: tuple[str, ...],
        *,
        scopes: Scopes = NO_SCOPES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._gate = gate
        self._options = options
        self._replica_labels = replica_labels
        self._scopes = scopes
        self._now = now

    async def query(self, call: ServerCall) -> None:
        """Answer an instant query.

        :raises CallError: INVALID_ARGUMENT, it makes no sense; ABORTED, it failed.
        """
        asked = parsed(pb.QueryRequest, await receive_only(call))
        at = _milliseconds("time_seconds", asked.time_seconds) or round(self._now() * 1000)
        request = self._request(call, asked, (at, at, 0))
        try:
            answer = await self._answer(request)
        except CallError as error:
            if error.code is not Code.ABORTED or not asked.enable_partial_response:
                raise
            await call.send(bytes(pb.QueryResponse(warnings=error.message)))
            return
        await _send(call, answer, asked.response_batch_size)

    async def query_range(self, call: ServerCall) -> None:
        """Answer a range query.

        :raises CallError: as `query`.
        """
        asked = parsed(pb.QueryRangeRequest, await receive_only(call))
        start = _milliseconds("start_time_seconds", asked.start_time_seconds)
        end = _milliseconds("end_time_seconds", asked.end_time_seconds)
        step = _milliseconds("interval_seconds", asked.interval_seconds)
        if end < start:
            raise _invalid("end_time_seconds is before start_time_seconds")
        if step <= 0:
            raise _invalid("interval_seconds has to be 1 or more")
        if (end - start) // step > MAX_STEPS:
            raise _invalid(f"more than {MAX_STEPS} steps from start to end; ask for a longer interval")
        request = self._request(call, asked, (start, end, step))
        await _send(call, await self._answer(request), asked.response_batch_size)

    def service(self) -> Service:
        return Service(
            NAME,
            {"Query": self.query, "QueryRange": self.query_range},
            streaming={"Query": SERVER_STREAM, "QueryRange": SERVER_STREAM},
        )

    def _request(self, call: ServerCall, asked: Asked, span: tuple[int, int, int]) -> QueryRequest:
        """
        :param span: start, end and step, milliseconds.
        :raises CallError: INVALID_ARGUMENT, a field is wrong.
        """
        options = self._options
        if not asked.query and asked.query_plan is not None:
            raise _invalid(
                "query_plan: plans of other engines are not evaluated here; send the text in query too"
            )
        if asked.engine not in tuple(pb.EngineType):
            raise _invalid("invalid engine parameter")
        resolution = _milliseconds("max_resolution_seconds", asked.max_resolution_seconds)
        # As Thanos has it, for ranges too.
        resolution = resolution or round(options.instant_resolution * 1000)
        lookback = _milliseconds("lookback_delta_seconds", asked.lookback_delta_seconds)
        if resolution < 0:
            raise _invalid("max_resolution_seconds is negative")
        start, end, step = span
        return QueryRequest(
            text=asked.query,
            start=start,
            end=end,
            step=step,
            timeout=self._timeout(call, asked),
            lookback=lookback if lookback > 0 else options.lookback_for(resolution),
            select=SelectOptions(
                dedup=asked.enable_dedup,
                replica_labels=tuple(asked.replica_labels) or self._replica_labels,
                store_matchers=_store_matchers(asked),
                max_resolution=resolution,
                abort=not asked.enable_partial_response,
                chain=options.chain,
                series_limit=options.series_limit,
                samples_limit=options.samples_limit,
                shard_info=_shard_info(asked),
            ),
            metadata=forwarded(call.metadata),
            within=self._scopes.of(call.peer).texts,
            stats=True,
        )

    def _timeout(self, call: ServerCall, asked: Asked) -> float:
        """Seconds: the shortest of the client's deadline, its wish, and the flag."""
        limits = [self._options.timeout]
        if asked.timeout_seconds > 0:
            limits.append(float(asked.timeout_seconds))
        if call.remaining is not None:
            limits.append(call.remaining)
        return min(limits)

    async def _answer(self, request: QueryRequest) -> Answer:
        """
        :raises CallError: INVALID_ARGUMENT, it is no query; ABORTED, it failed.
        """
        try:
            async with self._gate.entered(request.timeout) as left:
                return await self._engine.query(msgspec.structs.replace(request, timeout=left))
        except (ParseError, WrongKind) as error:
            raise _invalid(str(error)) from None
        except (EvaluationError, QueryTimeout, QueryCanceled) as error:
            raise CallError(Code.ABORTED, str(error)) from None
        except CallError as error:
            if error.code is Code.INVALID_ARGUMENT:
                raise
            raise CallError(Code.ABORTED, str(error)) from None


def _invalid(text: str) -> CallError:
    return CallError(Code.INVALID_ARGUMENT, text)


def _milliseconds(name: str, seconds: int) -> int:
    if abs(seconds) > _LAST:
        raise _invalid(f"{name}: {seconds} s are outside of what can be asked for")
    return seconds * 1000


def _store_matchers(asked: Asked) -> tuple[str, ...]:
    """Selectors, of which any has to match an endpoint. A set without matchers is matched by all."""
    sets = [each.label_matchers for each in asked.store_matchers]
    return tuple(selector(matchers) for matchers in sets) if all(sets) else ()


def _shard_info(asked: Asked) -> bytes:
    shards = asked.shard_info
    return bytes(shards) if shards is not None and shards.total_shards > 0 else b""


async def _send(call: ServerCall, answer: Answer, together: int) -> None:
    """Warnings, series, and what it took; series are written out as fast as the client reads."""
    said = answer.annotations
    warnings = [*answer.warnings, *said.texts("warning"), *said.texts("info")]
    # Out of columns that may take long.
    found = answer.found
    value = await anyio.to_thread.run_sync(found.value) if isinstance(found, Columnar) else found
    if isinstance(value, String):
        warnings.append(_NO_STRINGS)
    for text in dict.fromkeys(warnings):
        await call.send(bytes(pb.QueryResponse(warnings=text)))
    blocks = _blocks(messages(value, together))
    threaded = _points(value) > MANY
    while block := (await anyio.to_thread.run_sync(next, blocks, b"") if threaded else next(blocks, b"")):
        await call.send_framed([block])
    await call.send_framed([framed(bytes(_stats(answer)))])


def _points(value: Value) -> int:
    match value:
        case Vector():
            return len(value.samples)
        case Matrix():
            return sum(len(row.times) for row in value.rows)
        case _:
            return 1


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    held, size = list[bytes](), 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= BLOCK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _stats(answer: Answer) -> betterproto2.Message:
    counted = (answer.stats or {}).get("samples", {})
    return pb.QueryResponse(
        stats=pb.QueryStats(
            samples_total=counted.get("totalQueryableSamples", 0), peak_samples=counted.get("peakSamples", 0)
        )
    )
