"""What comes out of the querier is what each Prometheus has: every label, every sample, nothing more.

Real Prometheus servers scrape real targets; their own answers are the measure.
"""

from pathlib import Path

import grpc.aio
import pytest

from app.pb.thanos import (
    LabelMatcherType,
    LabelNamesRequest,
    LabelNamesResponse,
    LabelValuesRequest,
    LabelValuesResponse,
)
from app.stack.scene import Stack
from tests.harness.stack import (
    Samples,
    ask_one,
    ask_series,
    asking,
    get,
    matching,
    own_samples,
    samples_of,
    settled_range,
    stack,
)
from tests.harness.xor import decode

pytestmark = pytest.mark.anyio

EXAMPLES = matching("__name__", "example_.*|up", LabelMatcherType.RE)
SELECTOR = '{__name__=~"example_.*|up"}'


async def own(running: Stack, start: int, end: int, realm: str = "") -> Samples:
    found: Samples = {}
    for member in running.members.values():
        if realm in ("", member.realm):
            found.update(await own_samples(member, SELECTOR, start, end))
    return found


async def all_series(running: Stack, channel: grpc.aio.Channel) -> None:
    start, end = settled_range()
    series, warnings = await ask_series(channel, [EXAMPLES], start, end, response_batch_size=64)
    wanted = await own(running, start, end)
    assert warnings == []
    assert len(wanted) > 40
    assert samples_of(series, start, end) == wanted


async def one_realm(running: Stack, channel: grpc.aio.Channel) -> None:
    start, end = settled_range()
    matchers = [EXAMPLES, matching("realm", "eu|nowhere", LabelMatcherType.RE)]
    series, warnings = await ask_series(channel, matchers, start, end)
    assert warnings == []
    assert samples_of(series, start, end) == await own(running, start, end, "eu")


async def replicas_meet(running: Stack, channel: grpc.aio.Channel) -> None:
    matched = {("__name__", "example_requests_total"), ("code", "200")}
    start, end = settled_range()
    matchers = [
        matching("__name__", "example_requests_total"),
        matching("code", "200"),
        matching("realm", "eu"),
    ]
    (series,), warnings = await ask_series(channel, matchers, start, end, without_replica_labels=["replica"])
    assert warnings == []
    assert [label.name for label in series.labels] == ["__name__", "code", "instance", "job", "realm"]
    # Two servers scraped it at different moments, and the samples of both are there.
    wanted = await own(running, start, end, "eu")
    both = [set(samples) for labels, samples in wanted.items() if {*matched} <= labels]
    assert len(both) == 2
    decoded = {
        sample for chunk in series.chunks if chunk.raw for sample in decode(chunk.raw.data, growing=True)
    }
    assert both[0] | both[1] <= decoded


async def labels_alone(running: Stack, channel: grpc.aio.Channel) -> None:
    start, end = settled_range()
    series, _ = await ask_series(channel, [EXAMPLES], start, end, skip_chunks=True)
    found = {frozenset((label.name, label.value) for label in each.labels) for each in series}
    assert found == set(await own(running, start, end))
    assert all(not each.chunks for each in series)
    some, _ = await ask_series(channel, [EXAMPLES], start, end, limit=7)
    assert len(some) == 7


async def names_and_values(running: Stack, channel: grpc.aio.Channel) -> None:
    start, end = settled_range()
    wanted_names: set[str] = set()
    wanted_jobs: set[str] = set()
    for member in running.members.values():
        wanted_names.update(await get(f"{member.prometheus.url}/api/v1/labels"))
        wanted_jobs.update(await get(f"{member.prometheus.url}/api/v1/label/job/values"))
    names = await ask_one(
        channel, "/thanos.Store/LabelNames", LabelNamesRequest(start=start, end=end), LabelNamesResponse
    )
    assert list(names.names) == sorted(wanted_names | {"realm", "replica"})
    for label, wanted in (("job", wanted_jobs), ("realm", {"eu", "us", "local"})):
        request = LabelValuesRequest(label=label, start=start, end=end)
        values = await ask_one(channel, "/thanos.Store/LabelValues", request, LabelValuesResponse)
        assert list(values.values) == sorted(wanted)


async def test_series_equal_prometheus(tmp_path: Path) -> None:
    async with stack(tmp_path) as running, asking(running) as channel:
        await all_series(running, channel)
        await one_realm(running, channel)
        await replicas_meet(running, channel)
        await labels_alone(running, channel)
        await names_and_values(running, channel)
