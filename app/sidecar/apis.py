"""Rules, targets, metadata, exemplars and TSDB statistics of one Prometheus, with external labels added."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import anyio.to_thread
import msgspec

from app.endpoints.model import Api, Labels
from app.errors import CallError, Code
from app.fanout.model import RequestContext
from app.fanout.selection import compiled
from app.pb.thanos import (
    ExemplarsRequest,
    ExemplarsResponse,
    MetricMetadataRequest,
    MetricMetadataResponse,
    RulesRequest,
    RulesRequestType,
    RulesResponse,
    TargetsRequest,
    TargetsRequestState,
    TargetsResponse,
    TsdbStatistics,
    TsdbStatisticsRequest,
    TsdbStatisticsResponse,
)
from app.rpc.messages import parsed
from app.services.apis import Answer, SendOne
from app.sidecar import converting
from app.sidecar.selectors import seconds

LARGE = 64 * 1024
"""Bytes of an answer from which on it is converted in a thread."""

D = TypeVar("D")


class PrometheusApi(Protocol):
    """What is needed of `app.sidecar.client.PrometheusClient`."""

    async def get(self, path: str, params: Sequence[tuple[str, str]] = ()) -> bytes:
        """The body of a 2xx answer.

        :raises CallError: there is none.
        """


class PrometheusApis:
    """Stateless: every answer is Prometheus's.

    :param external_labels: raises CallError while Prometheus does not answer.
    """

    def __init__(self, prometheus: PrometheusApi, external_labels: Callable[[], Labels]) -> None:
        self._prometheus = prometheus
        self._external_labels = external_labels

    def answers(self) -> Mapping[Api, Answer]:
        """For `app.services.apis.api_services`."""
        return {
            Api.RULES: self.rules,
            Api.TARGETS: self.targets,
            Api.METADATA: self.metadata,
            Api.EXEMPLARS: self.exemplars,
            Api.STATUS: self.status,
        }

    async def rules(self, request: bytes, context: RequestContext, send: SendOne) -> None:
        """Send the rule groups, one a message."""
        asked = parsed(RulesRequest, request)
        kinds = {RulesRequestType.ALERT: "alert", RulesRequestType.RECORD: "record"}
        params = [("type", kinds[asked.type])] if asked.type in kinds else []
        labels = self._external_labels()
        for group in await self._get("/api/v1/rules", params, converting.rule_groups, labels):
            await send(bytes(RulesResponse(group=group)))

    async def targets(self, request: bytes, context: RequestContext, send: SendOne) -> None:
        """Send the targets in one message."""
        asked = parsed(TargetsRequest, request)
        states = {TargetsRequestState.ACTIVE: "active", TargetsRequestState.DROPPED: "dropped"}
        params = [("state", states[asked.state])] if asked.state in states else []
        labels = self._external_labels()
        for part in await self._get("/api/v1/targets", params, converting.targets, labels):
            await send(bytes(TargetsResponse(targets=part)))

    async def metadata(self, request: bytes, context: RequestContext, send: SendOne) -> None:
        """Send the metadata in one message; it has no labels that external ones could be added to."""
        asked = parsed(MetricMetadataRequest, request)
        params = [("metric", asked.metric)] if asked.metric else []
        if asked.limit >= 0:
            params.append(("limit", str(asked.limit)))
        self._external_labels()
        found = await self._get("/api/v1/metadata", params, converting.metadata, ())
        await send(bytes(MetricMetadataResponse(metadata=found)))

    async def exemplars(self, request: bytes, context: RequestContext, send: SendOne) -> None:
        """Send the exemplars, one series a message."""
        asked = parsed(ExemplarsRequest, request)
        params = [("query", asked.query), ("start", seconds(asked.start)), ("end", seconds(asked.end))]
        labels = self._external_labels()
        for data in await self._get("/api/v1/query_exemplars", params, converting.exemplars, labels):
            await send(bytes(ExemplarsResponse(data=data)))

    async def status(self, request: bytes, context: RequestContext, send: SendOne) -> None:
        """Send the statistics, under a tenant without a name; nothing where external labels do not match."""
        asked = parsed(TsdbStatisticsRequest, request)
        external = dict(self._external_labels())
        for matcher in map(compiled, asked.matchers):
            if not matcher.matches(external.get(matcher.name, "")):
                return
        params = [("limit", str(asked.limit))] if asked.limit > 0 else []
        entry = await self._get("/api/v1/status/tsdb", params, converting.statistics, ())
        await send(bytes(TsdbStatisticsResponse(statistics=TsdbStatistics(statistics={"": entry}))))

    async def _get(
        self,
        path: str,
        params: Sequence[tuple[str, str]],
        convert: Callable[[bytes, Labels], D],
        labels: Labels,
    ) -> D:
        body = await self._prometheus.get(path, params)
        try:
            if len(body) < LARGE:
                return convert(body, labels)
            return await anyio.to_thread.run_sync(convert, body, labels)
        except (msgspec.DecodeError, ValueError) as error:
            raise CallError(
                Code.INTERNAL, f"Prometheus answered {path} with something else: {error}"
            ) from None
