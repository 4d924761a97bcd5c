"""`/rules`, `/alerts`, `/targets`, `/metadata`, `/query_exemplars` and `/status/tsdb`."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from app.config.query_options import QueryOptions
from app.engine.promql.ast import Expr, Matcher, VectorSelector, children
from app.engine.promql.features import ALL_FEATURES
from app.engine.promql.parser import parse, parse_selector
from app.engine.promql.printer import matcher_text
from app.engine.select.asking import label_matchers
from app.errors import CallError, Code
from app.fanout.apis import status
from app.fanout.apis.proxies import Proxies, SendOne
from app.fanout.model import RequestContext
from app.pb.thanos import (
    ExemplarData,
    ExemplarsRequest,
    ExemplarsResponse,
    MetricMetadataRequest,
    MetricMetadataResponse,
    PartialResponseStrategy,
    RuleGroup,
    RulesRequest,
    RulesRequestType,
    RulesResponse,
    TargetsRequest,
    TargetsRequestState,
    TargetsResponse,
    TsdbStatistics,
    TsdbStatisticsEntry,
    TsdbStatisticsRequest,
    TsdbStatisticsResponse,
)
from app.web.api import messages, parameters
from app.web.api.envelope import Result, result_of
from app.web.api.errors import ApiError, ErrorKind, bad_data
from app.web.api.handling import Call
from app.web.api.matching import MATCH
from app.web.api.tenancy import Tenant, tenant_of

DEFAULT_STATISTICS = 10
"""Items of each list of `/status/tsdb`."""
MAX_INT32 = 2**31 - 1
_TYPES = {each.name: each for each in RulesRequestType}
_STATES = {each.name: each for each in TargetsRequestState}

R = TypeVar(
    "R", RulesResponse, TargetsResponse, MetricMetadataResponse, ExemplarsResponse, TsdbStatisticsResponse
)
Ask = Callable[[bytes, RequestContext, SendOne], Awaitable[None]]


class Proxied:
    """Stateless: what changes is the endpoints'."""

    def __init__(self, proxies: Proxies, options: QueryOptions) -> None:
        self._proxies = proxies
        self._options = options

    async def rules(self, call: Call) -> Result:
        """Rule groups, of any type, or of one."""
        text = call.form.get("type")
        kind = _TYPES.get(text.upper() or "ALL")
        if kind is None:
            raise bad_data(f"invalid rules parameter type='{text[:200]}'")
        groups, warnings = await self._groups(call, kind)
        return Result(messages.rule_groups(groups), warnings)

    async def alerts(self, call: Call) -> Result:
        """What is pending or fires, of all alerting rules."""
        groups, warnings = await self._groups(call, RulesRequestType.ALERT)
        return Result(messages.alerts(groups), warnings)

    async def _groups(self, call: Call, kind: RulesRequestType) -> tuple[list[RuleGroup], list[str]]:
        form, tenant = call.form, tenant_of(call, self._options.tenancy)
        for text in form.all(MATCH):
            parse_selector(text)
        enforced = [] if tenant.enforced is None else [_selector([tenant.enforced])]
        request = RulesRequest(
            type=kind,
            partial_response_strategy=_strategy(self._options.partial_response.rules),
            matcher_string=[*form.all(MATCH), *enforced],
            rule_name=list(form.all("rule_name[]")),
            rule_group=list(form.all("rule_group[]")),
            file=list(form.all("file[]")),
        )
        found, warnings = await self._ask("rules", self._proxies.rules, RulesResponse, bytes(request), tenant)
        return [each.group for each in found if each.group is not None], warnings

    async def targets(self, call: Call) -> Result:
        """Targets that are scraped, and that are dropped."""
        text = call.form.get("state")
        state = _STATES.get(text.upper() or "ANY")
        if state is None:
            raise bad_data(f"invalid targets parameter state='{text[:200]}'")
        tenant = tenant_of(call, self._options.tenancy)
        request = TargetsRequest(
            state=state, partial_response_strategy=_strategy(self._options.partial_response.targets)
        )
        found, warnings = await self._ask(
            "targets", self._proxies.targets, TargetsResponse, bytes(request), tenant
        )
        parts = [each.targets for each in found if each.targets is not None]
        return Result(messages.targets(parts, tenant.enforced), warnings)

    async def metadata(self, call: Call) -> Result:
        """Type, help and unit of metrics."""
        text = call.form.get("limit")
        if text and not (re.fullmatch(r"[+-]?[0-9]{1,10}", text) and abs(int(text)) <= MAX_INT32):
            raise bad_data(f"invalid metric metadata limit='{text[:200]}'")
        request = MetricMetadataRequest(
            metric=call.form.get("metric"),
            limit=int(text or -1),
            partial_response_strategy=_strategy(self._options.partial_response.metadata),
        )
        tenant = tenant_of(call, self._options.tenancy)
        found, warnings = await self._ask(
            "metadata", self._proxies.metadata, MetricMetadataResponse, bytes(request), tenant
        )
        parts = [each.metadata for each in found if each.metadata is not None]
        return Result(messages.metadata(parts), warnings)

    async def exemplars(self, call: Call) -> Result:
        """Exemplars of the series that a query is about."""
        start = parameters.time_of(call.form, "start", parameters.MIN_TIME)
        end = parameters.time_of(call.form, "end", parameters.MAX_TIME)
        if end < start:
            raise bad_data("end timestamp must not be before start time")
        tenant = tenant_of(call, self._options.tenancy)
        selectors = list(_selectors(parse(call.form.get("query"), ALL_FEATURES)))
        if not selectors:
            return result_of([])
        request = ExemplarsRequest(
            query="+".join(_selector(tenant.narrowed(each)) for each in selectors),
            start=start,
            end=end,
            partial_response_strategy=_strategy(self._options.partial_response.exemplars),
        )
        found, warnings = await self._ask(
            "exemplars", self._proxies.exemplars, ExemplarsResponse, bytes(request), tenant
        )
        data: list[ExemplarData] = [each.data for each in found if each.data is not None]
        return Result(messages.exemplars(data), warnings)

    async def tsdb(self, call: Call) -> Result:
        """What takes up most room, of one tenant or of all together."""
        limit = parameters.limit_of(call.form) or DEFAULT_STATISTICS
        if limit > MAX_INT32:
            raise bad_data(f"limit {limit} overflows int32")
        tenant = tenant_of(call, self._options.tenancy)
        matchers = [matcher for text in call.form.all(MATCH) for matcher in parse_selector(text)]
        request = TsdbStatisticsRequest(
            limit=limit,
            partial_response_strategy=_strategy(self._options.partial_response.status),
            matchers=label_matchers(tenant.narrowed(matchers)),
        )
        found, warnings = await self._ask(
            "tsdb statistics", self._proxies.status, TsdbStatisticsResponse, bytes(request), tenant
        )
        entries = {
            name: entry
            for each in found
            if each.statistics is not None
            for name, entry in each.statistics.statistics.items()
        }
        return result_of(messages.tsdb_status(_entry(entries, tenant, limit)), warnings)

    async def _ask(
        self, what: str, ask: Ask, kind: type[R], request: bytes, tenant: Tenant
    ) -> tuple[list[R], list[str]]:
        """The answers, and the warnings in them.

        :raises ApiError: the endpoints cannot be asked, or one failed and all are wanted.
        """
        found: list[R] = []

        async def receive(message: bytes) -> None:
            found.append(kind.parse(message))

        context = RequestContext(metadata=tenant.metadata, timeout=self._options.timeout)
        try:
            await ask(request, context, receive)
        except CallError as error:
            if error.code is Code.INVALID_ARGUMENT:
                raise bad_data(error.message) from None
            raise ApiError(ErrorKind.INTERNAL, f"retrieving {what}: {error.message}") from None
        return found, [each.warning for each in found if each.warning]


def _strategy(partial: bool) -> PartialResponseStrategy:
    return PartialResponseStrategy.WARN if partial else PartialResponseStrategy.ABORT


def _selector(matchers: Iterable[Matcher]) -> str:
    return "{" + ",".join(matcher_text(each) for each in matchers) + "}"


def _selectors(node: Expr) -> Iterator[tuple[Matcher, ...]]:
    """The matchers of each selector of a query."""
    if isinstance(node, VectorSelector):
        yield node.matchers
    for child in children(node):
        yield from _selectors(child)


def _entry(entries: Mapping[str, TsdbStatisticsEntry], tenant: Tenant, limit: int) -> TsdbStatisticsEntry:
    """Of the tenant, where it may see nothing else; else of all together."""
    if tenant.enforced is None:
        together = [TsdbStatistics(statistics={"": entry}) for entry in entries.values()]
        return status.merged(together, limit).statistics.get("", TsdbStatisticsEntry())
    if tenant.name not in entries:
        raise ApiError(ErrorKind.INTERNAL, f"retrieving tsdb statistics: {tenant.name} tenant not found")
    return entries[tenant.name]
