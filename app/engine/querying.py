"""A query from its text to its answer: parsed, planned, its series fetched at once, evaluated in a thread."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread
import msgspec
import structlog

from app.config.query_options import QueryOptions
from app.engine import fast
from app.engine.active import ActiveQueries
from app.engine.budget import Budget
from app.engine.cancelling import CancelFlag
from app.engine.measuring import Cost, Measured, Measuring, analyzed
from app.engine.metrics import EngineMetrics
from app.engine.model import Annotations, EvaluationError, Hints, Limits, Query, Series, Value
from app.engine.prepare import Prepared, prepared, restricted
from app.engine.promql.ast import Matcher, SubqueryExpr, VectorSelector
from app.engine.promql.features import NO_FEATURES, Features, features_of
from app.engine.promql.parser import parse
from app.engine.promql.printer import text
from app.engine.reference import analysis as reference_analysis
from app.engine.reference import run
from app.engine.request import Answer, Columnar, QueryRequest, QueryTimeout
from app.engine.select.decode import decode
from app.engine.select.fetch import Selected
from app.engine.select.model import ChunkTable, SelectOptions
from app.errors import leaves
from app.fanout.model import RequestContext

SMALL = 512 * 1024
"""Bytes of chunks and rows up to which a query is evaluated at once: a millisecond or two of the event loop.
Handing it to a thread takes half as long, and then that thread and the loop wait for each other."""
SHORT = 1024
"""Characters of a query up to which it is read at once; longer ones, which take milliseconds, in a thread."""
MANY = 16_384
"""Points, absent ones counted, up to which a result is written at once."""
FEW = 256
"""Series up to which a query is evaluated at once."""
_RATES = frozenset(("rate", "increase", "delta", "irate", "idelta"))
Given = TypeVar("Given")
log = structlog.get_logger()


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param lookback: milliseconds, where a request does not say.
    :param subquery_step: milliseconds, for subqueries that name no step.
    :param selects: selectors of one query that are asked of the endpoints at a time.
    :param samples: that one query may hold at once; 0: no limit.
    :param memory: bytes that one query may hold at once; 0: no limit.
    :param slow: seconds past which a query is logged; 0: none is.
    """

    lookback: int = 300_000
    subquery_step: int = 60_000
    selects: int = 4
    samples: int = 0
    memory: int = 0
    slow: float = 0.0
    features: Features = NO_FEATURES


def engine_options(options: QueryOptions) -> EngineOptions:
    """As the flags have them."""
    return EngineOptions(
        lookback=round(options.lookback * 1000),
        subquery_step=round(options.evaluation_interval * 1000),
        selects=options.max_concurrent_select,
        samples=options.max_samples,
        memory=options.max_memory,
        slow=options.slow_query,
        features=features_of(options.features),
    )


class Selects(Protocol):
    """Where series come from."""

    async def select(
        self,
        matchers: Sequence[Matcher],
        hints: Hints,
        options: SelectOptions,
        context: RequestContext,
        budget: Budget,
    ) -> Selected:
        """
        :raises TooMuchMemory: the budget has no room for them.
        :raises CallError: an endpoint failed, and partial answers are not wanted.
        """
        ...


class QueryEngine:
    """Stateless but for its threads: what changes is each query's own. An `Engine`.

    :param threads: evaluations that run at once.
    :param active: writes down what runs; None: nobody does.
    """

    def __init__(
        self,
        selecting: Selects,
        options: EngineOptions,
        metrics: EngineMetrics,
        *,
        threads: int = 20,
        active: ActiveQueries | None = None,
    ) -> None:
        self._selecting = selecting
        self._options = options
        self._metrics = metrics
        self._threads = anyio.CapacityLimiter(threads)
        self._active = active

    async def query(self, request: QueryRequest) -> Answer:
        """
        :raises ParseError: the text is not PromQL.
        :raises EvaluationError: it cannot be answered.
        :raises QueryTimeout: it took longer than its time.
        :raises CallError: an endpoint failed, and partial answers are not wanted.
        """
        begun = time.monotonic()
        cancel = CancelFlag()
        outcome = "canceled"
        try:
            with anyio.move_on_after(request.timeout) as scope:
                async with self._running(request.text):
                    answer = await self._answer(request, cancel)
                outcome = "success"
                return answer
        except RecursionError:
            outcome = "error"
            raise EvaluationError("the expression is nested too deeply") from None
        except MemoryError:
            outcome = "error"
            raise EvaluationError("the machine has not the memory that the query needs") from None
        except Exception:
            outcome = "error"
            raise
        finally:
            cancel.set()  # whoever still works on it need not
            if scope.cancelled_caught:
                outcome = "timeout"
            self._finished(request, outcome, time.monotonic() - begun)
        raise QueryTimeout(
            f"query timed out in expression evaluation after {request.timeout + request.queued:g} s"
        )

    def _running(self, text: str) -> AbstractAsyncContextManager[None]:
        return self._active.running(text) if self._active is not None else nullcontext()

    def _finished(self, request: QueryRequest, outcome: str, seconds: float) -> None:
        self._metrics.finished(outcome, seconds)
        if 0 < self._options.slow <= seconds:
            log.warning(
                "slow query",
                query=request.text,
                seconds=round(seconds, 3),
                outcome=outcome,
                start=request.start,
                end=request.end,
                step=request.step,
            )

    def _prepared(self, request: QueryRequest) -> Prepared:
        options = self._options
        expr = parse(request.text, options.features)
        if request.enforced:
            expr = restricted(expr, tuple(Matcher(*each) for each in request.enforced))
        if request.within:
            expr = restricted(expr, tuple(Matcher(*each) for each in request.within), beside=True)
        query = Query(
            request.text,
            request.start,
            request.end,
            request.step,
            lookback=options.lookback if request.lookback is None else request.lookback,
            subquery_step=options.subquery_step,
            delayed_name_removal=options.features.delayed_name_removal,
            limits=Limits(options.samples),
        )
        return prepared(expr, query)

    async def _answer(self, request: QueryRequest, cancel: CancelFlag) -> Answer:
        if len(request.text) <= SHORT:
            placed, plan = self._planned(request)
        else:
            placed, plan = await self._in_thread(lambda: self._planned(request))
        budget = Budget(self._options.memory, self._options.samples)
        fetching = time.monotonic()
        taken: dict[VectorSelector, float] = {}
        selected = await self._select(placed, request, budget, taken)
        evaluating = time.monotonic()
        tables = {node: each.table for node, each in selected.items()}
        warnings = list(dict.fromkeys(text for each in selected.values() for text in each.warnings))
        work = _Work(placed, plan, tables, cancel, budget, request.count or request.analyze)
        if _is_small(plan, tables):
            found, annotations = self._evaluated(work)
        else:
            found, annotations = await self._in_thread(lambda: self._evaluated(work))
        stats = analysis = None
        if request.stats:
            cost = Cost(
                request.queued,
                evaluating - fetching,
                time.monotonic() - evaluating - work.measuring.paused,
                budget.peak_samples,
                work.measuring.per_step.tolist(),
            )
            stats = cost.stats(placed.query, every_step=request.every_step)
        if request.analyze:
            analysis = work.analysis(taken, evaluating - fetching)
        return Answer(found, annotations, warnings, stats, analysis)

    def _planned(self, request: QueryRequest) -> tuple[Prepared, fast.Plan]:
        placed = self._prepared(request)
        return placed, fast.plan(placed.expr, placed.query)

    def _evaluated(self, work: "_Work") -> tuple[Value | Columnar, Annotations]:
        """On columns if the whole query can be, else by the reference evaluator."""
        plan, tables, budget = work.plan, work.tables, work.budget
        if plan.path == fast.FAST:
            annotations = Annotations()
            wanted = {number: tables[node] for number, (node, _) in enumerate(fast.selectors(plan))}
            try:
                found = fast.evaluate(
                    plan, wanted, work.cancel.array, annotations, measuring=work.measured(), budget=budget
                )
            except fast.NotServed:
                log.debug("query left to the reference evaluator: its series are not all floats")
            else:
                self._metrics.evaluated(fast.FAST)
                if isinstance(found, fast.Grid):
                    return _Columns(found, plan.query, budget), annotations
                return fast.to_value(found, plan.query, budget), annotations
        annotations, work.path = Annotations(), fast.REFERENCE
        self._metrics.evaluated(fast.REFERENCE)
        found_plainly = evaluated(work.placed, tables, annotations, work.cancel, budget, work.measured())
        return found_plainly, annotations

    async def _in_thread(self, work: Callable[[], Given]) -> Given:
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)

    async def _select(
        self,
        placed: Prepared,
        request: QueryRequest,
        budget: Budget,
        taken: dict[VectorSelector, float],
    ) -> dict[VectorSelector, Selected]:
        """All selectors at once, but for the limit; the same series are asked for only once.

        :param taken: gets the seconds that each took.
        """
        found: dict[VectorSelector, Selected] = {}
        places = anyio.CapacityLimiter(self._options.selects)
        context = RequestContext(metadata=request.metadata, timeout=request.timeout)
        groups: dict[tuple[frozenset[Matcher], Hints], list[VectorSelector]] = {}
        for selection in placed.selections:
            key = frozenset(selection.matchers), selection.hints
            groups.setdefault(key, []).append(selection.node)

        async def fetch(nodes: list[VectorSelector], matchers: frozenset[Matcher], hints: Hints) -> None:
            async with places:
                begun = time.monotonic()
                ordered = sorted(matchers, key=lambda matcher: (matcher.name, matcher.op, matcher.value))
                selected = await self._selecting.select(ordered, hints, request.select, context, budget)
            for node in nodes:
                found[node], taken[node] = selected, time.monotonic() - begun

        if len(groups) == 1:
            ((matchers, hints), nodes) = groups.popitem()
            await fetch(nodes, matchers, hints)
            return found
        try:
            async with anyio.create_task_group() as tasks:
                for (matchers, hints), nodes in groups.items():
                    tasks.start_soon(fetch, nodes, matchers, hints)
        except BaseExceptionGroup as group:
            raise leaves(group)[0] from None  # the first failure has cancelled the others
        return found

    def explain(self, request: QueryRequest) -> Mapping[str, Any]:
        """A tree of ``name`` and ``children``: which path each node takes, and why.

        :raises ParseError: the text is not PromQL.
        :raises EvaluationError: it makes no sense at these times.
        """
        placed = self._prepared(request)
        return fast.explained(fast.plan(placed.expr, placed.query).root)


class _Work:
    """Mutable: what one evaluation is given, and its measurements where they are wanted.

    :ivar path: that the evaluation took.
    """

    def __init__(
        self,
        placed: Prepared,
        plan: fast.Plan,
        tables: Mapping[VectorSelector, ChunkTable],
        cancel: CancelFlag,
        budget: Budget,
        measure: bool,
    ) -> None:
        self.placed, self.plan, self.tables, self.cancel = placed, plan, tables, cancel
        self.budget = budget
        self.path = plan.path
        self.measuring = Measuring(placed.query)
        self._measure = measure

    def measured(self) -> Measuring | None:
        """New measurements for an evaluation; None: none are wanted."""
        self.measuring = Measuring(self.placed.query)
        return self.measuring if self._measure else None

    def analysis(self, taken: Mapping[VectorSelector, float], fetching: float) -> Mapping[str, Any]:
        """What all cost, for Thanos's `analysis`: the selectors, as they were fetched, and the nodes.

        :param taken: seconds that each selector took; at the same time as others.
        :param fetching: seconds that all of them took.
        """
        measuring = self.measuring
        if self.path == fast.FAST:
            tree = fast.analysis(self.plan.root, measuring)
        else:
            tree = reference_analysis(self.placed.expr, measuring)
        fetched = [analyzed(f"[fetch] {text(node)}", Measured(seconds)) for node, seconds in taken.items()]
        whole = Measured(fetching, int(measuring.per_step.sum()), measuring.peak)
        whole.seconds = fetching + (measuring.of(self._root()).seconds or 0.0)
        return analyzed("[query]", whole, [*fetched, tree])

    def _root(self) -> object:
        return self.plan.root if self.path == fast.FAST else self.placed.expr


class _Columns(Columnar):
    """What the fast path found."""

    def __init__(self, grid: fast.Grid, query: Query, budget: Budget) -> None:
        self._grid = grid
        self._query = query
        self._budget = budget
        self.kind = "matrix" if query.step else "vector"
        self.many = grid.values.size > MANY

    def value(self) -> Value:
        return fast.to_value(self._grid, self._query, self._budget)

    def json(self) -> Iterator[bytes]:
        return fast.write_json(self._grid, self._query, budget=self._budget)


def _is_small(plan: fast.Plan, tables: Mapping[VectorSelector, ChunkTable]) -> bool:
    """Whether evaluating it costs little more than handing it to a thread would."""
    nodes = list(plan.root.walk())
    if plan.path != fast.FAST or any(isinstance(node.expr, SubqueryExpr) for node in nodes):
        return False
    if len(plan.query.text) > SHORT or sum(len(table) for table in tables.values()) > FEW:
        return False
    query, cost = plan.query, 0.0
    steps = (query.end - query.start) // query.step + 1 if query.step else 1
    for node, hints in fast.selectors(plan):
        table = tables[node]
        if table.decoded:
            return False
        # Rates look at the ends of a window, other functions at all of it.
        walked = 0 if hints.func in _RATES else hints.range
        overlapping = walked * steps / max(1, hints.end - hints.start)
        cost += len(table.data) * (1 + overlapping) + 8 * len(table) * steps * len(nodes)
    return cost <= SMALL


def evaluated(
    placed: Prepared,
    tables: Mapping[VectorSelector, ChunkTable],
    annotations: Annotations,
    cancel: CancelFlag,
    budget: Budget,
    measuring: Measuring | None = None,
) -> Value:
    """By the reference evaluator, which wants all samples decoded.

    :raises EvaluationError: the query cannot be answered.
    """
    budget.samples = 0
    decoded: dict[int, Sequence[Series]] = {}
    for table in tables.values():
        if id(table) not in decoded:
            decoded[id(table)] = decode(table, cancel.array, budget)
    series = {node: decoded[id(table)] for node, table in tables.items()}
    return run(placed, series, annotations, cancel.check, budget, measuring)


__all__ = ["EngineOptions", "EvaluationError", "QueryEngine", "Selects"]
