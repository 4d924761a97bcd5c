"""thanos.info.Info: what this querier holds, made of what its healthy endpoints hold."""

from collections.abc import Callable, Iterable

from app.endpoints.model import MAX_TIME, MIN_TIME, Api, EndpointInfo, EndpointSource, Labels, Snapshot
from app.errors import CallError, Code
from app.pb.thanos import Label, ZLabelSet
from app.pb.thanos.info import (
    ExemplarsInfo,
    InfoRequest,
    InfoResponse,
    MetricMetadataInfo,
    QueryApiInfo,
    RulesInfo,
    StatusInfo,
    StoreInfo,
    TargetsInfo,
    TsdbInfo,
)
from app.rpc.messages import parsed
from app.rpc.model import ServerCall, Service
from app.services.unary import receive_only

NAME = "thanos.info.Info"
COMPONENT = "query"


def extended(labels: Labels, selector_labels: Labels) -> Labels:
    """`labels` with the querier's own, which win, in the order of the names."""
    return tuple(sorted({**dict(labels), **dict(selector_labels)}.items()))


def _zlabels(labels: Labels) -> ZLabelSet:
    return ZLabelSet(labels=[Label(name=name, value=value) for name, value in labels])


def _label_sets(stores: Iterable[EndpointInfo], selector_labels: Labels) -> list[ZLabelSet]:
    sets = {extended(labels, selector_labels) for store in stores for labels in store.label_sets}
    if not sets and selector_labels:
        # A querier that has found nothing yet still answers for its own subset only.
        sets = {selector_labels}
    return [_zlabels(labels) for labels in sorted(sets)]


def describe(snapshot: Snapshot, selector_labels: Labels) -> InfoResponse:
    """What the healthy endpoints of `snapshot` hold together.

    Without any the time range is everything, as in Thanos, so that a querier above does not leave this one
    out while it comes up.
    """
    stores = [
        view.info
        for view in snapshot.endpoints
        if view.asked and view.info is not None and Api.STORE in view.info.apis
    ]
    return InfoResponse(
        label_sets=_label_sets(stores, selector_labels),
        component_type=COMPONENT,
        store=StoreInfo(
            min_time=min((store.min_time for store in stores), default=MIN_TIME),
            max_time=max((store.max_time for store in stores), default=MAX_TIME),
            supports_sharding=all(store.supports_sharding for store in stores),
            supports_without_replica_labels=True,
            tsdb_infos=[
                TsdbInfo(
                    labels=_zlabels(tsdb.labels),
                    min_time=tsdb.min_time,
                    max_time=tsdb.max_time,
                )
                for store in stores
                for tsdb in store.tsdb_infos
            ],
        ),
        rules=RulesInfo(),
        metric_metadata=MetricMetadataInfo(),
        targets=TargetsInfo(),
        exemplars=ExemplarsInfo(min_time=MIN_TIME, max_time=MAX_TIME),
        query=QueryApiInfo(),
        status=StatusInfo(),
    )


class Info:
    """Mutable: the last answer with the snapshot it was made of, replaced by `info` alone.

    :param ready: whether the first round is over; until then Info fails, so that a querier above waits.
    """

    def __init__(self, source: EndpointSource, selector_labels: Labels, ready: Callable[[], bool]) -> None:
        self._source = source
        self._selector_labels = selector_labels
        self._ready = ready
        self._last: tuple[Snapshot, bytes] | None = None

    async def info(self, call: ServerCall) -> None:
        """Answer.

        :raises CallError: UNAVAILABLE until the querier is ready.
        """
        parsed(InfoRequest, await receive_only(call))
        if not self._ready():
            raise CallError(Code.UNAVAILABLE, "not ready: the endpoints were not all asked yet")
        with self._source.lease() as snapshot:
            if self._last is None or self._last[0] is not snapshot:
                self._last = (snapshot, bytes(describe(snapshot, self._selector_labels)))
        await call.send(self._last[1])

    def service(self) -> Service:
        return Service(NAME, {"Info": self.info})
