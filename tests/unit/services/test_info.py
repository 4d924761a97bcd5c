from typing import cast

import pytest

from app.config.model import RelabelRule
from app.endpoints.model import (
    MAX_TIME,
    MIN_TIME,
    Api,
    EndpointInfo,
    EndpointView,
    Labels,
    Snapshot,
    State,
    TsdbInfo,
)
from app.errors import CallError, Code
from app.fanout.tsdb_selector import TsdbSelector
from app.pb.thanos import Label, ZLabelSet
from app.pb.thanos.info import InfoRequest, InfoResponse
from app.rpc.channel import Channel
from app.services.info import Info, describe
from tests.unit.services.fake_call import FakeCall

pytestmark = pytest.mark.anyio


def view(
    *label_sets: Labels,
    times: tuple[int, int] = (10, 20),
    state: State = State.HEALTHY,
    apis: frozenset[Api] = frozenset({Api.STORE}),
    sharding: bool = True,
) -> EndpointView:
    info = EndpointInfo(
        component="sidecar",
        label_sets=label_sets,
        min_time=times[0],
        max_time=times[1],
        apis=apis,
        supports_sharding=sharding,
        tsdb_infos=tuple(TsdbInfo(labels, *times) for labels in label_sets),
    )
    return EndpointView(
        group="eu",
        address="127.0.0.1:1",
        channel=cast(Channel, None),
        strict=False,
        state=state,
        info=info,
        since=0,
        last_check=0,
        last_error="",
    )


def label_sets(answer: InfoResponse) -> list[Labels]:
    return [tuple((label.name, label.value) for label in each.labels) for each in answer.label_sets]


def test_is_the_union_of_the_healthy_stores() -> None:
    answer = describe(
        Snapshot(
            (
                view((("realm", "eu"),), times=(10, 20)),
                view((("realm", "us"),), (("realm", "eu"),), times=(5, 15), sharding=False),
                view((("realm", "gone"),), times=(0, 99), state=State.UNHEALTHY),
                view((("realm", "rules"),), times=(0, 99), apis=frozenset({Api.RULES})),
            )
        ),
        (("cluster", "observer"),),
    )
    assert answer.component_type == "query"
    assert label_sets(answer) == [
        (("cluster", "observer"), ("realm", "eu")),
        (("cluster", "observer"), ("realm", "us")),
    ]
    assert answer.store is not None
    assert (answer.store.min_time, answer.store.max_time) == (5, 20)
    assert answer.store.supports_without_replica_labels
    assert not answer.store.supports_sharding
    assert [(tsdb.min_time, tsdb.max_time) for tsdb in answer.store.tsdb_infos] == [
        (10, 20),
        (5, 15),
        (5, 15),
    ]


def test_what_relabeling_leaves_out_is_not_announced() -> None:
    rule = RelabelRule(action="keep", source_labels=("realm",), regex="eu")
    answer = describe(
        Snapshot(
            (
                view((("realm", "eu"),), (("realm", "us"),), times=(10, 20)),
                view((("realm", "us"),), times=(0, 99), sharding=False),
            )
        ),
        (("cluster", "observer"),),
        tsdb_selector=TsdbSelector([rule]),
    )
    assert label_sets(answer) == [(("cluster", "observer"), ("realm", "eu"))]
    assert answer.store is not None
    assert (answer.store.min_time, answer.store.max_time) == (10, 20)
    assert answer.store.supports_sharding
    assert [each.labels for each in answer.store.tsdb_infos] == [
        ZLabelSet(labels=[Label(name="realm", value="eu")])
    ]


def test_without_stores_it_announces_its_own_labels_and_all_of_time() -> None:
    answer = describe(Snapshot(()), (("cluster", "observer"),))
    assert label_sets(answer) == [(("cluster", "observer"),)]
    assert answer.store is not None
    assert (answer.store.min_time, answer.store.max_time) == (MIN_TIME, MAX_TIME)
    assert describe(Snapshot(()), ()).label_sets == []


class Source:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def lease(self) -> "Source":
        return self

    def __enter__(self) -> Snapshot:
        return self.snapshot

    def __exit__(self, *exc: object) -> None: ...


async def test_fails_until_ready_then_answers_for_the_moment() -> None:
    source = Source(Snapshot(()))
    ready = False
    info = Info(source, (), lambda: ready)
    with pytest.raises(CallError) as caught:
        await info.info(FakeCall(bytes(InfoRequest())))
    assert caught.value.code is Code.UNAVAILABLE
    ready = True
    call = FakeCall(bytes(InfoRequest()))
    await info.info(call)
    source.snapshot = Snapshot((view((("realm", "eu"),)),))
    call.sent.clear()
    later = FakeCall(bytes(InfoRequest()))
    await info.info(later)
    assert label_sets(InfoResponse.parse(later.sent[0])) == [(("realm", "eu"),)]
