"""thanos.info.Info: what this querier holds, made of what its healthy endpoints hold."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from app.endpoints.model import MAX_TIME, MIN_TIME, Api, EndpointInfo, EndpointSource, Labels, Snapshot
from app.errors import CallError, Code
from app.fanout.scope import EVERYTHING, Scope
from app.fanout.tsdb_selector import EVERY_TSDB, TsdbSelector
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
from app.services.scopes import NO_SCOPES, Scopes
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


def _visible(stores: Iterable[EndpointInfo], scope: Scope | None) -> Iterator[EndpointInfo]:
    """Stores that may have something of `scope` (None: nothing), with the label sets and TSDBs that may."""
    for store in stores:
        sets = tuple(labels for labels in store.label_sets if scope is not None and scope.may_show(labels))
        if scope is not None and (sets or not store.label_sets):
            tsdb_infos = tuple(tsdb for tsdb in store.tsdb_infos if scope.may_show(tsdb.labels))
            yield msgspec.structs.replace(store, label_sets=sets, tsdb_infos=tsdb_infos)


def _selected(stores: Iterable[EndpointInfo], selector: TsdbSelector) -> Iterator[EndpointInfo]:
    """Stores that are asked, with the label sets and TSDBs that are."""
    for store in stores:
        sets = selector.kept(store.label_sets)
        if sets is not None:
            tsdb_infos = tuple(tsdb for tsdb in store.tsdb_infos if selector.keeps(tsdb.labels))
            yield msgspec.structs.replace(store, label_sets=sets, tsdb_infos=tsdb_infos)


def describe(
    snapshot: Snapshot,
    selector_labels: Labels,
    scope: Scope = EVERYTHING,
    tsdb_selector: TsdbSelector = EVERY_TSDB,
) -> InfoResponse:
    """What the healthy endpoints of `snapshot` hold together.

    Without any the time range is everything, as in Thanos, so that a querier above does not leave this one
    out while it comes up.

    :param scope: what the client may see: label sets that can have nothing of it are left out, and APIs that
        would refuse it.
    :param tsdb_selector: what is asked of the endpoints.
    """
    restricted = scope.within(selector_labels)
    stores = [
        view.info
        for view in snapshot.endpoints
        if view.asked and view.info is not None and Api.STORE in view.info.apis
    ]
    if tsdb_selector.restricting:
        stores = list(_selected(stores, tsdb_selector))
    if restricted is None or restricted.restricted:
        stores = list(_visible(stores, restricted))
    whole = restricted is not None and not restricted.restricted
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
        metric_metadata=MetricMetadataInfo() if whole else None,
        targets=TargetsInfo(),
        exemplars=ExemplarsInfo(min_time=MIN_TIME, max_time=MAX_TIME),
        query=QueryApiInfo(),
        status=StatusInfo() if whole else None,
    )


class Info:
    """Mutable: the last whole answer with the snapshot it was made of, replaced by `info` alone.

    :param ready: whether the first round is over; until then Info fails, so that a querier above waits.
    """

    def __init__(
        self,
        source: EndpointSource,
        selector_labels: Labels,
        ready: Callable[[], bool],
        scopes: Scopes = NO_SCOPES,
        tsdb_selector: TsdbSelector = EVERY_TSDB,
    ) -> None:
        self._source = source
        self._selector_labels = selector_labels
        self._ready = ready
        self._scopes = scopes
        self._tsdb_selector = tsdb_selector
        self._last: tuple[Snapshot, bytes] | None = None

    async def info(self, call: ServerCall) -> None:
        """Answer.

        :raises CallError: UNAVAILABLE until the querier is ready.
        """
        parsed(InfoRequest, await receive_only(call))
        if not self._ready():
            raise CallError(Code.UNAVAILABLE, "not ready: the endpoints were not all asked yet")
        scope = self._scopes.of(call.peer)
        with self._source.lease() as snapshot:
            if scope.restricted:
                await call.send(bytes(self._describe(snapshot, scope)))
                return
            if self._last is None or self._last[0] is not snapshot:
                self._last = (snapshot, bytes(self._describe(snapshot, EVERYTHING)))
        await call.send(self._last[1])

    def _describe(self, snapshot: Snapshot, scope: Scope) -> InfoResponse:
        return describe(snapshot, self._selector_labels, scope, self._tsdb_selector)

    def service(self) -> Service:
        return Service(NAME, {"Info": self.info})
