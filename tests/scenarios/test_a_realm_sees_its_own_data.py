"""A client that may see one realm sees nothing of another, over no API.

Two realms behind one querier, and an endpoint that has rules, targets and exemplars of both. A client of each
realm, and one that may see everything, ask every API of the gRPC listener for all that there is.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import betterproto2
import grpc
import grpc.aio
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from app.demo.dataset import DEFAULT_START, Dataset, Shape
from app.demo.pki import Identity, Subject
from app.demo.realms import spiffe
from app.demo.store_options import Faults
from app.demo.synthetic import SyntheticStore
from app.pb import thanos as pb
from app.pb.thanos import info as pb_info
from app.rpc.acceptor import bind
from app.rpc.listener import Listener, ListenerOptions
from app.rpc.model import ServerCall, Service
from app.rpc.server_metrics import ServerMetrics
from tests.harness import Authority, Front, querier

pytestmark = pytest.mark.anyio

REALMS = ("eu", "us")
ALL = pb.LabelMatcher(type=pb.LabelMatcherType.RE, name="__name__", value=".+")
END = 10**14
AT = DEFAULT_START // 1000 + 300


def labels(realm: str) -> pb.ZLabelSet:
    return pb.ZLabelSet(
        labels=[pb.Label(name="node", value=f"{realm}-node"), pb.Label(name="realm", value=realm)]
    )


def sending(*answers: betterproto2.Message) -> Callable[[ServerCall], Awaitable[None]]:
    async def handle(call: ServerCall) -> None:
        for answer in answers:
            await call.send(bytes(answer))

    return handle


def others(*realms: str) -> list[Service]:
    """All APIs but Store, with everything of some realms, whatever is asked."""
    rules = [
        pb.Rule(recording=pb.RecordingRule(name=f"{realm}-node", labels=labels(realm))) for realm in realms
    ]
    targets = pb.TargetDiscovery(
        active_targets=[
            pb.ActiveTarget(scrape_url=f"{realm}-node", labels=labels(realm)) for realm in realms
        ],
        dropped_targets=[pb.DroppedTarget(discovered_labels=labels(realm)) for realm in realms],
    )
    exemplars = [
        pb.ExemplarsResponse(
            data=pb.ExemplarData(series_labels=labels(realm), exemplars=[pb.Exemplar(value=1.0, ts=1)])
        )
        for realm in realms
    ]
    metadata = pb.MetricMetadata(
        metadata={f"{realm}-node": pb.MetricMetadataEntry(metas=[pb.Meta(help="h")]) for realm in realms}
    )
    statistics = pb.TsdbStatistics(statistics={f"{realm}-node": pb.TsdbStatisticsEntry() for realm in realms})
    group = pb.RuleGroup(name="all", file="f", rules=rules)
    return [
        Service("thanos.Rules", {"Rules": sending(pb.RulesResponse(group=group))}),
        Service("thanos.Targets", {"Targets": sending(pb.TargetsResponse(targets=targets))}),
        Service("thanos.Exemplars", {"Exemplars": sending(*exemplars)}),
        Service("thanos.Metadata", {"MetricMetadata": sending(pb.MetricMetadataResponse(metadata=metadata))}),
        Service(
            "thanos.Status", {"TSDBStatistics": sending(pb.TsdbStatisticsResponse(statistics=statistics))}
        ),
    ]


def info(*realms: str, store: bool) -> Service:
    answer = pb_info.InfoResponse(
        component_type="sidecar",
        label_sets=[pb.ZLabelSet(labels=[pb.Label(name="realm", value=realm)]) for realm in realms],
        store=pb_info.StoreInfo(min_time=0, max_time=END, supports_without_replica_labels=True)
        if store
        else None,
        rules=pb_info.RulesInfo(),
        targets=pb_info.TargetsInfo(),
        exemplars=pb_info.ExemplarsInfo(min_time=0, max_time=END),
        metric_metadata=pb_info.MetricMetadataInfo(),
        status=pb_info.StatusInfo(),
    )
    return Service("thanos.info.Info", {"Info": sending(answer)})


@asynccontextmanager
async def endpoint(services: list[Service]) -> AsyncIterator[str]:
    """Serves in this process; its address."""
    listener = Listener(
        services,
        bind("127.0.0.1:0"),
        tls=None,
        options=ListenerOptions(),
        metrics=ServerMetrics(CollectorRegistry()),
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(listener.run)
        try:
            yield f"127.0.0.1:{listener.ports[0]}"
        finally:
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def endpoints() -> AsyncIterator[list[str]]:
    """One for each realm, and one that has something of both."""
    async with AsyncExitStack() as stack:
        found = []
        for realm in REALMS:
            store = SyntheticStore(Dataset(realm, "a", Shape(series=32)), Faults())
            services = [
                info(realm, store=True),
                *(each for each in store.services() if each.name == "thanos.Store"),
                *others(realm),
            ]
            found.append(await stack.enter_async_context(endpoint(services)))
        mixed = [info(*REALMS, store=False), *others(*REALMS)]
        found.append(await stack.enter_async_context(endpoint(mixed)))
        yield found


class Client(msgspec.Struct, frozen=True):
    """Asks through grpcio, with the certificate of one identity."""

    channel: grpc.aio.Channel

    async def ask(self, path: str, request: betterproto2.Message) -> bytes:
        """All messages of an answer, end to end."""
        call = self.channel.unary_stream(path)(bytes(request), timeout=20)
        return b"".join([message async for message in call])


def credentials(front: Front, identity: Identity) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=Path(front.trust.ca_file).read_bytes(),
        private_key=Path(identity.key_file).read_bytes(),
        certificate_chain=Path(identity.cert_file).read_bytes(),
    )


@asynccontextmanager
async def client(address: str, front: Front, directory: Path, name: str) -> AsyncIterator[Client]:
    identity = Identity(directory, Subject(name=name, uris=(spiffe("central", name),)))
    identity.write(front.authority.issue(identity.subject, 600))
    async with grpc.aio.secure_channel(address, credentials(front, identity)) as channel:
        yield Client(channel)


REQUESTS: Mapping[str, betterproto2.Message] = {
    "/thanos.Store/Series": pb.SeriesRequest(matchers=[ALL], max_time=END),
    "/thanos.Store/LabelValues": pb.LabelValuesRequest(label="instance", end=END),
    "/thanos.Query/Query": pb.QueryRequest(query='{__name__=~".+"}', time_seconds=AT),
    "/thanos.Query/QueryRange": pb.QueryRangeRequest(
        query='sum by (instance) ({__name__=~".+"}) or absent(nothing{realm!=""})',
        start_time_seconds=AT,
        end_time_seconds=AT + 60,
        interval_seconds=15,
    ),
    "/thanos.Rules/Rules": pb.RulesRequest(),
    "/thanos.Targets/Targets": pb.TargetsRequest(),
    "/thanos.Exemplars/Exemplars": pb.ExemplarsRequest(query='up or {realm="us"} or {realm="eu"}', end=END),
}
INFO = ("/thanos.info.Info/Info", pb_info.InfoRequest())
REFUSED: Mapping[str, betterproto2.Message] = {
    "/thanos.Metadata/MetricMetadata": pb.MetricMetadataRequest(limit=-1),
    "/thanos.Status/TSDBStatistics": pb.TsdbStatisticsRequest(),
}


async def test_a_realm_sees_its_own_data(tmp_path: Path) -> None:
    front = Front(tmp_path / "front", Authority("front CA"))
    identities = {name: spiffe("central", name) for name in (*REALMS, "everything")}
    flags = [f"--grpc-server-allowed-identity={uri}" for uri in identities.values()]
    for realm in REALMS:
        flags.append(f'--grpc-server-identity-matchers={identities[realm]}={{realm="{realm}"}}')
    async with endpoints() as addresses, AsyncExitStack() as stack:
        flags += [f"--endpoint={address}" for address in addresses]
        here = await stack.enter_async_context(querier(tmp_path, flags, front=front))
        clients = {
            name: await stack.enter_async_context(client(here.grpc_address, front, tmp_path / name, name))
            for name in identities
        }
        for path, request in {**REQUESTS, **REFUSED}.items():
            answer = await clients["everything"].ask(path, request)
            assert b"eu-node" in answer, path
            assert b"us-node" in answer, path
        for realm, other in (REALMS, REALMS[::-1]):
            for path, request in REQUESTS.items():
                answer = await clients[realm].ask(path, request)
                assert f"{realm}-node".encode() in answer, (realm, path)
                assert other.encode() + b"-node" not in answer, (realm, path)
            for path, request in REFUSED.items():
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await clients[realm].ask(path, request)
                assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            found = pb_info.InfoResponse.parse(await clients[realm].ask(*INFO))
            assert [label.value for each in found.label_sets for label in each.labels] == [realm]
            foreign = pb.LabelMatcher(type=pb.LabelMatcherType.EQ, name="realm", value=other)
            names = pb.LabelNamesRequest(matchers=[foreign], end=END)
            assert await clients[realm].ask("/thanos.Store/LabelNames", names) == b""
            stripped = pb.SeriesRequest(matchers=[ALL], without_replica_labels=["realm"], max_time=END)
            assert other.encode() + b"-node" not in await clients[realm].ask("/thanos.Store/Series", stripped)
