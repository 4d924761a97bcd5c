"""`/query`, `/query_range` and how they would be evaluated."""

from collections.abc import Callable

import anyio.to_thread
import msgspec

from app.config.query_options import QueryOptions
from app.engine.gate import Gate
from app.engine.request import Answer, Columnar, Engine, QueryRequest
from app.engine.select.model import SelectOptions
from app.pb.thanos import ShardInfo
from app.web.api import parameters
from app.web.api.encoding import query_data, truncated
from app.web.api.envelope import Result, result_of
from app.web.api.errors import ApiError, ErrorKind, bad_data
from app.web.api.form import Form
from app.web.api.handling import Call
from app.web.api.matching import store_match_texts
from app.web.api.parameters import MILLISECOND, NANOSECONDS, Range
from app.web.api.tenancy import tenant_of

ENGINES = ("prometheus", "thanos")
TRUNCATED = "results truncated due to limit"


class _ShardInfo(msgspec.Struct, frozen=True):
    """`shard_info` as a query frontend writes it; for Go null is nothing."""

    shard_index: int | None = 0
    total_shards: int | None = 0
    by: bool | None = False
    labels: tuple[str, ...] | None = ()


class Queries:
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
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._gate = gate
        self._options = options
        self._replica_labels = replica_labels
        self._now = now

    async def instant(self, call: Call) -> Result:
        """At one time, now unless it is given."""
        return await self._answered(call, self._instant(call))

    async def range(self, call: Call) -> Result:
        """At each step from start to end."""
        return await self._answered(call, self._range(call))

    async def explain_instant(self, call: Call) -> Result:
        """The tree of an instant query."""
        _explainable(call.form, self._options)
        return result_of(self._engine.explain(self._instant(call)))

    async def explain_range(self, call: Call) -> Result:
        """The tree of a range query."""
        _explainable(call.form, self._options)
        return result_of(self._engine.explain(self._range(call)))

    async def _answered(self, call: Call, request: QueryRequest) -> Result:
        limit = parameters.limit_of(call.form)
        async with self._gate.entered(request.timeout) as left:
            running = msgspec.structs.replace(request, timeout=left, queued=request.timeout - left)
            answer = await self._engine.query(running)
        if limit and _many(answer):
            return await anyio.to_thread.run_sync(_result, answer, call.form, limit)
        return _result(answer, call.form, limit)

    def _instant(self, call: Call) -> QueryRequest:
        time = parameters.time_of(call.form, "time", round(self._now() * 1000))
        automatic = int(self._options.instant_resolution * NANOSECONDS)
        return self._request(call, Range(time, time, 0), automatic)

    def _range(self, call: Call) -> QueryRequest:
        span = parameters.query_range(call.form, self._options)
        return self._request(call, span, span.step // 5)

    def _request(self, call: Call, span: Range, automatic: int) -> QueryRequest:
        """
        :param automatic: nanoseconds between samples of downsampled data that would do.
        :raises ApiError: a parameter is wrong.
        """
        form, options = call.form, self._options
        _engine(form, options)
        max_resolution = parameters.resolution(form, options, automatic)
        tenant = tenant_of(call, options.tenancy)
        own = tenant.enforced
        return QueryRequest(
            text=form.get("query"),
            start=span.start,
            end=span.end,
            step=span.step // MILLISECOND,
            timeout=parameters.timeout(form, options),
            lookback=parameters.lookback(form, options, max_resolution),
            select=SelectOptions(
                dedup=parameters.switch_of(form, "dedup", True),
                replica_labels=form.all("replicaLabels[]") or self._replica_labels,
                store_matchers=store_match_texts(form),
                max_resolution=max_resolution,
                abort=not parameters.switch_of(form, "partial_response", options.partial_response.query),
                chain=options.chain,
                series_limit=options.series_limit,
                samples_limit=options.samples_limit,
                shard_info=_shard_info(form),
            ),
            metadata=tenant.metadata,
            enforced=() if own is None else ((own.op, own.name, own.value),),
            stats=bool(form.get("stats")),
            every_step=form.get("stats") == "all",
            count=bool(form.get("stats")),
            analyze=form.get("analyze") in ("true", "1"),
        )


def _many(answer: Answer) -> bool:
    """Whether making anything of it takes long."""
    return isinstance(answer.found, Columnar) and answer.found.many


def _result(answer: Answer, form: Form, limit: int) -> Result:
    value, cut = truncated(answer.value, limit) if limit else (answer.found, False)
    warnings = [*answer.warnings]
    if cut:
        warnings.append(TRUNCATED)
    said = answer.annotations
    return Result(
        query_data(value, answer.stats, answer.analysis),
        warnings,
        [*said.texts("warning"), *said.texts("info")],
        slow=_many(answer),
    )


def _engine(form: Form, options: QueryOptions) -> str:
    """The engine that is asked for. All names mean the one there is."""
    name = form.get("engine") or options.engine
    if name not in ENGINES:
        raise bad_data(f"'{name[:200]}' bad engine")
    return name


def _explainable(form: Form, options: QueryOptions) -> None:
    if _engine(form, options) != "thanos":
        raise bad_data("engine type must be 'thanos'")


def _shard_info(form: Form) -> bytes:
    """The message; empty where the whole is asked for."""
    text = form.get("shard_info")
    if not text:
        return b""
    try:
        info = msgspec.json.decode(text, type=_ShardInfo | None) or _ShardInfo()
        shard = ShardInfo(
            info.shard_index or 0, info.total_shards or 0, bool(info.by), list(info.labels or ())
        )
        return bytes(shard)
    except (msgspec.MsgspecError, UnicodeEncodeError, ValueError) as error:
        raise ApiError(ErrorKind.BAD_DATA, f"could not unmarshal parameter shard_info: {error}") from None
