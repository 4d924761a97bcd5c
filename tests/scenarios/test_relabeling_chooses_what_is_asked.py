"""Relabeling rules choose by external labels which data is asked for, over every API that reads series.

A querier over a store of two realms, and over one of a third: what the rules leave out is in no answer, also
where an endpoint has both; and an endpoint that has nothing else is never called.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import grpc.aio
import pytest
from prometheus_client import CollectorRegistry

from app.demo.dataset import DEFAULT_START, Dataset, Shape
from app.demo.store_options import Faults
from app.demo.synthetic import SyntheticStore
from app.pb import thanos as pb
from app.pb.thanos import info as pb_info
from app.rpc.acceptor import bind
from app.rpc.listener import Listener, ListenerOptions
from app.rpc.model import ServerCall
from app.rpc.server_metrics import ServerMetrics
from app.services.unary import receive_only
from tests.harness import Querier, querier

pytestmark = pytest.mark.anyio

AT = DEFAULT_START // 1000 + 300
END = 10**14
RULES = """
- action: keep
  source_labels: [realm]
  regex: $(KEPT_REALM)
"""


class Counted(SyntheticStore):
    """A store with a label set for each of some realms, which counts what it is asked, its health apart."""

    def __init__(self, *realms: str) -> None:
        datasets = [Dataset(realm, "a", Shape(series=32)) for realm in realms]
        first = datasets[0]
        first.series = sorted(
            (series for each in datasets for series in each.series), key=lambda series: series.labels
        )
        super().__init__(first, Faults())
        self.calls = 0
        self._label_sets = [
            pb.ZLabelSet(labels=[pb.Label(name=name, value=value) for name, value in each.external_labels])
            for each in datasets
        ]

    async def info(self, call: ServerCall) -> None:
        await receive_only(call)
        store = pb_info.StoreInfo(min_time=0, max_time=END, supports_without_replica_labels=True)
        answer = pb_info.InfoResponse(label_sets=self._label_sets, component_type="store", store=store)
        await call.send(bytes(answer))

    async def _misbehave(self, call: ServerCall) -> None:
        self.calls += 1


@asynccontextmanager
async def serving(store: SyntheticStore) -> AsyncIterator[str]:
    """Serves in this process; its address."""
    listener = Listener(
        store.services(),
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


async def get(here: Querier, path: str, **parameters: str) -> Any:
    status, content = await here.get(f"/api/v1/{path}?{urlencode(parameters)}")
    answer = json.loads(content)
    assert (status, "warnings" in answer) == (200, False), content
    return answer["data"]


async def ask(here: Querier, path: str, request: pb.SeriesRequest | pb_info.InfoRequest) -> bytes:
    async with grpc.aio.insecure_channel(here.grpc_address) as channel:
        call = channel.unary_stream(path)(bytes(request), timeout=20)
        return b"".join([message async for message in call])


async def test_relabeling_chooses_what_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both, other = Counted("eu", "us"), Counted("ap")
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    monkeypatch.setenv("KEPT_REALM", "eu|nowhere")
    async with AsyncExitStack() as stack:
        here, there = [await stack.enter_async_context(serving(each)) for each in (both, other)]
        flags = [
            f"--selector.relabel-config-file={rules}",
            f"--endpoint={here}",
            f"--endpoint={there}",
            "--query.replica-label=replica",
        ]
        asked = await stack.enter_async_context(querier(tmp_path, flags))

        found = await get(asked, "query", query='count by (realm) ({__name__=~".+"})', time=str(AT))
        assert [each["metric"] for each in found["result"]] == [{"realm": "eu"}]
        span = {"start": str(AT), "end": str(AT + 60)}
        found = await get(asked, "query_range", query='count by (realm) ({realm!=""})', step="15", **span)
        assert [each["metric"] for each in found["result"]] == [{"realm": "eu"}]
        assert (await get(asked, "query", query='count({realm="us"})', time=str(AT)))["result"] == []
        assert await get(asked, "label/realm/values") == ["eu"]
        instances = await get(asked, "label/instance/values")
        assert instances
        assert all(instance.startswith("eu-") for instance in instances)
        series = await get(asked, "series", **{"match[]": '{__name__=~".+"}'}, **span)
        assert {each["realm"] for each in series} == {"eu"}

        everything = pb.LabelMatcher(type=pb.LabelMatcherType.RE, name="__name__", value=".+")
        request = pb.SeriesRequest(matchers=[everything], max_time=END)
        answer = await ask(asked, "/thanos.Store/Series", request)
        assert b"eu-node" in answer
        assert b"us-node" not in answer
        answer = await ask(asked, "/thanos.info.Info/Info", pb_info.InfoRequest())
        announced = pb_info.InfoResponse.parse(answer).label_sets
        assert [[label.value for label in each.labels] for each in announced] == [["eu", "a"]]
        listed = (await get(asked, "stores"))["store"]
        assert [(row["name"], row["labelSets"]) for row in listed] == [
            (here, [{"realm": "eu", "replica": "a"}])
        ]
        assert both.calls > 0
        assert other.calls == 0
