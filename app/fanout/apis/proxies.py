"""Rules, targets, metadata, exemplars and TSDB statistics of all endpoints."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

import anyio.to_thread
import betterproto2

from app.endpoints.model import Api, EndpointSource
from app.errors import CallError, Code
from app.fanout.apis import exemplars, metadata, rules, status, targets, visible
from app.fanout.apis.collecting import Collecting
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions, RequestContext
from app.fanout.partial import Warnings
from app.fanout.scope import Scope
from app.pb.thanos import (
    ExemplarsRequest,
    ExemplarsResponse,
    MetricMetadataRequest,
    MetricMetadataResponse,
    PartialResponseStrategy,
    RulesRequest,
    RulesResponse,
    TargetsRequest,
    TargetsResponse,
    TsdbStatisticsRequest,
    TsdbStatisticsResponse,
)
from app.rpc.messages import parsed

MANY = 200
"""Answers from which on they are merged in a thread."""

SendOne = Callable[[bytes], Awaitable[None]]
R = TypeVar(
    "R", RulesResponse, TargetsResponse, MetricMetadataResponse, ExemplarsResponse, TsdbStatisticsResponse
)


class Proxies:
    """Stateless: what changes is the endpoints'.

    :param paths: of the methods: ``/thanos.Rules/Rules``.
    """

    def __init__(
        self,
        source: EndpointSource,
        options: FanoutOptions,
        metrics: FanoutMetrics,
        paths: Mapping[Api, str],
    ) -> None:
        self._selector_labels = options.selector_labels
        self._replica_labels = frozenset(options.replica_labels)

        def collecting(api: Api, response: type[R]) -> Collecting[R]:
            return Collecting(
                source,
                api=api,
                method=paths[api],
                response=response,
                missing=options.missing_endpoints,
                response_timeout=options.response_timeout,
                metrics=metrics,
            )

        self._rules = collecting(Api.RULES, RulesResponse)
        self._targets = collecting(Api.TARGETS, TargetsResponse)
        self._metadata = collecting(Api.METADATA, MetricMetadataResponse)
        self._exemplars = collecting(Api.EXEMPLARS, ExemplarsResponse)
        self._status = collecting(Api.STATUS, TsdbStatisticsResponse)

    def answers(self) -> Mapping[Api, Callable[[bytes, RequestContext, SendOne], Awaitable[None]]]:
        """For `app.services.apis.api_services`."""
        return {
            Api.RULES: self.rules,
            Api.TARGETS: self.targets,
            Api.METADATA: self.metadata,
            Api.EXEMPLARS: self.exemplars,
            Api.STATUS: self.status,
        }

    async def rules(self, request: bytes, context: RequestContext, send: SendOne) -> None:
        """Send the merged rule groups, one a message; warnings first."""
        asked = parsed(RulesRequest, request)
        if (scope := self._scope(context)) is None:
            return
        warnings = _warnings(asked.partial_response_strategy)
        answers = await self._rules.collect(lambda _: request, context, warnings, self._replica_labels, scope)
        found_groups = (each.group for each in answers if each.group is not None)
        groups = list(visible.rule_groups(found_groups, scope))
        found = await _merge(len(answers), lambda: rules.merged(groups, asked, self._replica_labels))
        await _send(
            send,
            (RulesResponse(warning=text) for text in _said(answers, warnings)),
            (RulesResponse(group=group) for group in found),
        )

    async def targets(self, request: bytes, context: RequestContext, send: SendOne) -> None:
        """Send the merged targets; warnings first."""
        asked = parsed(TargetsRequest, request)
        if (scope := self._scope(context)) is None:
            return
        warnings = _warnings(asked.partial_response_strategy)
        answers = await self._targets.collect(
            lambda _: request, context, warnings, self._replica_labels, scope
        )
        found_targets = (each.targets for each in answers if each.targets is not None)
        data = list(visible.targets(found_targets, scope))
        count = sum(len(each.active_targets) + len(each.dropped_targets) for each in data)
        found = await _merge(count, lambda: targets.merged(data, asked, self._replica_labels))
        await _send(
            send,
            (TargetsResponse(warning=text) for text in _said(answers, warnings)),
            (TargetsResponse(targets=part) for part in found),
        )

    async def metadata(self, request: bytes, context: RequestContext, send: SendOne) -> None:
        """Send the metadata of all metrics; warnings first."""
        asked = parsed(MetricMetadataRequest, request)
        self._unrestricted(context, "metadata of metrics")
        warnings = _warnings(asked.partial_response_strategy)
        answers = await self._metadata.collect(lambda _: request, context, warnings, self._replica_labels)
        data = [each.metadata for each in answers if each.metadata is not None]
        count = sum(len(each.metadata) for each in data)
        found = await _merge(count, lambda: metadata.merged(data, asked))
        await _send(
            send,
            (MetricMetadataResponse(warning=text) for text in _said(answers, warnings)),
            (MetricMetadataResponse(metadata=part) for part in found),
        )

    async def exemplars(self, request: bytes, context: RequestContext, send: SendOne) -> None:
        """Send the exemplars of all series that the query's selectors match; warnings first.

        :raises CallError: INVALID_ARGUMENT, the query is none or selects nothing.
        """
        asked = parsed(ExemplarsRequest, request)
        if (scope := self._scope(context)) is None:
            return
        warnings = _warnings(asked.partial_response_strategy)
        selection = exemplars.Selection(asked, self._selector_labels, scope.matchers)
        if selection.contradicted:
            return
        answers = await self._exemplars.collect(
            selection.for_endpoint, context, warnings, self._replica_labels, scope
        )
        data = list(visible.exemplars((each.data for each in answers if each.data is not None), scope))
        found = await _merge(len(data), lambda: exemplars.merged(data, self._replica_labels))
        await _send(
            send,
            (ExemplarsResponse(warning=text) for text in _said(answers, warnings)),
            (ExemplarsResponse(data=each) for each in found),
        )

    async def status(self, request: bytes, context: RequestContext, send: SendOne) -> None:
        """Send the statistics of all TSDBs, added up by tenant; warnings first."""
        asked = parsed(TsdbStatisticsRequest, request)
        self._unrestricted(context, "statistics of TSDBs")
        warnings = _warnings(asked.partial_response_strategy)
        answers = await self._status.collect(lambda _: request, context, warnings, self._replica_labels)
        data = [each.statistics for each in answers if each.statistics is not None]
        found = await _merge(len(data), lambda: status.merged(data, asked.limit))
        await _send(
            send,
            (TsdbStatisticsResponse(warning=text) for text in _said(answers, warnings)),
            (TsdbStatisticsResponse(statistics=found),),
        )

    def _scope(self, context: RequestContext) -> Scope | None:
        """What the client may see, less what the querier's own labels decide; None: nothing."""
        return context.scope.within(self._selector_labels)

    def _unrestricted(self, context: RequestContext, what: str) -> None:
        """
        :raises CallError: PERMISSION_DENIED, the client may not see everything.
        """
        scope = self._scope(context)
        if scope is None or scope.restricted:
            raise CallError(
                Code.PERMISSION_DENIED,
                f"{what} have no labels by which the part could be told that this identity may see"
                " (--grpc-server-identity-matchers)",
            )


M = TypeVar("M")


async def _merge(count: int, merge: Callable[[], M]) -> M:
    """In a thread where it takes long."""
    return merge() if count < MANY else await anyio.to_thread.run_sync(merge)


def _warnings(strategy: PartialResponseStrategy) -> Warnings:
    return Warnings(strategy is PartialResponseStrategy.ABORT)


def _said(answers: Iterable[R], warnings: Warnings) -> list[str]:
    """Our own warnings and those of the endpoints.

    :raises CallError: ABORTED, an endpoint's answer is not whole, and the client wants all or nothing.
    """
    for answer in answers:
        if answer.warning:
            warnings.add(answer.warning)
    return warnings.all


async def _send(
    send: SendOne, warnings: Iterable[betterproto2.Message], data: Iterable[betterproto2.Message]
) -> None:
    for message in (*warnings, *data):
        await send(bytes(message))
