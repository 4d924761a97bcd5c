"""thanos.info.Info: what the sidecar offers, while Prometheus answers."""

from collections.abc import Callable

from app.endpoints.model import MAX_TIME, MIN_TIME
from app.errors import CallError, Code
from app.pb.thanos import Label, ZLabelSet
from app.pb.thanos.info import (
    ExemplarsInfo,
    InfoRequest,
    InfoResponse,
    MetricMetadataInfo,
    RulesInfo,
    StatusInfo,
    StoreInfo,
    TargetsInfo,
    TsdbInfo,
)
from app.rpc.messages import parsed
from app.rpc.model import ServerCall, Service
from app.services.info import NAME
from app.services.unary import receive_only
from app.sidecar.heartbeat import Heartbeat

COMPONENT = "sidecar"


class Info:
    """Stateless: what is known of Prometheus is the heartbeat's.

    :param ready: whether the sidecar may be asked; if not, why.
    """

    def __init__(self, heartbeat: Heartbeat, ready: Callable[[], tuple[bool, str]]) -> None:
        self._heartbeat = heartbeat
        self._ready = ready

    async def info(self, call: ServerCall) -> None:
        """Answer.

        :raises CallError: UNAVAILABLE while Prometheus does not answer: a querier above then says so.
        """
        parsed(InfoRequest, await receive_only(call))
        ready, reason = self._ready()
        if not ready:
            raise CallError(Code.UNAVAILABLE, f"not ready: {reason}")
        await call.send(bytes(self._describe()))

    def _describe(self) -> InfoResponse:
        labels = ZLabelSet(
            labels=[Label(name=name, value=value) for name, value in self._heartbeat.external_labels()]
        )
        min_time = self._heartbeat.min_time()
        return InfoResponse(
            label_sets=[labels],
            component_type=COMPONENT,
            store=StoreInfo(
                min_time=min_time,
                max_time=MAX_TIME,
                supports_sharding=True,
                supports_without_replica_labels=True,
                tsdb_infos=[TsdbInfo(labels=labels, min_time=min_time, max_time=MAX_TIME)],
            ),
            rules=RulesInfo(),
            metric_metadata=MetricMetadataInfo(),
            targets=TargetsInfo(),
            exemplars=ExemplarsInfo(min_time=MIN_TIME, max_time=MAX_TIME),
            status=StatusInfo(),
        )

    def service(self) -> Service:
        return Service(NAME, {"Info": self.info})
