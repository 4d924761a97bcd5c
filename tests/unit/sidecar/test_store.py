"""thanos.Store in front of a fake Prometheus: what is asked of it, and what becomes of its answers."""

from collections.abc import Sequence

import anyio
import cramjam
import pytest

from app.config.model import MinTime
from app.demo.xor import encode
from app.errors import CallError, Code
from app.fanout.wire import field, varint
from app.pb.thanos import (
    LabelMatcher,
    LabelMatcherType,
    LabelNamesRequest,
    LabelNamesResponse,
    LabelValuesRequest,
    LabelValuesResponse,
    SeriesRequest,
)
from app.sidecar.remote_read import SAMPLED
from app.sidecar.store import StoreLimits, supports_matchers
from tests.unit.services.fake_call import FakeCall
from tests.unit.sidecar.conftest import Parts
from tests.unit.sidecar.frames import Chunk, Item, items, messages, order_of, series_of

pytestmark = pytest.mark.anyio

EXTERNAL = {"realm": "eu", "replica": "a"}
JOB = LabelMatcher(type=LabelMatcherType.RE, name="job", value='a"b.*')
CHUNK = Chunk(5000, 6000, b"\x00\x01data")


def request(**more: object) -> bytes:
    given: dict[str, object] = {"min_time": 0, "max_time": 10_000_000, "matchers": [JOB], **more}
    return bytes(SeriesRequest(**given))  # type: ignore[arg-type]


async def series(parts: Parts, asked: bytes) -> list[Item]:
    call = FakeCall(asked)
    await parts.store.series(call)
    return items(series_of(messages(b"".join(call.sent))))


def several(*more: dict[str, str]) -> list[Item]:
    return [({"__name__": "up", "job": "a", **each}, [CHUNK]) for each in more]


async def test_series_come_with_external_labels(parts: Parts) -> None:
    parts.prometheus.series = several({"pod": "1"}, {"pod": "2"})
    found = await series(parts, request())
    assert found == [({**labels, **EXTERNAL}, chunks) for labels, chunks in parts.prometheus.series]
    assert parts.metric("crossrealm_sidecar_series_total") == 2
    assert parts.metric("crossrealm_sidecar_resorted_total") == 0


async def test_what_prometheus_is_asked(parts: Parts) -> None:
    external = LabelMatcher(type=LabelMatcherType.NEQ, name="realm", value="us")
    await series(parts, request(matchers=[external, JOB], max_time=7))
    # 1,000 s is the oldest sample there is, so nothing older is asked for, and nothing at all here.
    assert parts.prometheus.reads == []
    await series(parts, request(matchers=[external, JOB]))
    query = b"\x08" + b"\xc0\x84\x3d" + b"\x10" + b"\x80\xad\xe2\x04"
    matcher = b"\x08\x02" + field(2, b"job") + field(3, b'a"b.*')
    assert parts.prometheus.reads == [field(1, query + field(3, matcher)) + field(2, b"\x01\x00")]
    headers = parts.prometheus.headers[-1]
    assert headers["x-prometheus-remote-read-version"] == "0.1.0"
    assert headers["content-encoding"] == "snappy"


async def test_matchers_on_external_labels(parts: Parts) -> None:
    parts.prometheus.series = several({})
    other = LabelMatcher(type=LabelMatcherType.EQ, name="realm", value="us")
    own = LabelMatcher(type=LabelMatcherType.RE, name="realm", value="e.")
    assert await series(parts, request(matchers=[other, JOB])) == []
    assert len(await series(parts, request(matchers=[own, JOB]))) == 1
    with pytest.raises(CallError, match="no matchers specified") as caught:
        await series(parts, request(matchers=[own]))
    assert caught.value.code is Code.INVALID_ARGUMENT


async def test_replica_labels_are_left_out(parts: Parts) -> None:
    parts.prometheus.series = several({})
    ((labels, _),) = await series(parts, request(without_replica_labels=["replica"]))
    assert labels == {"__name__": "up", "job": "a", "realm": "eu"}


async def test_labels_of_series_under_an_external_name_are_replaced_and_sorted(parts: Parts) -> None:
    parts.prometheus.series = several({"replica": "9"}, {"replica": "8", "z": "1"}, {"z": "0"})
    found = await series(parts, request(response_batch_size=64))
    assert found == sorted(found, key=lambda each: order_of(each[0]))
    assert [labels["replica"] for labels, _ in found] == ["a", "a", "a"]
    assert parts.metric("crossrealm_sidecar_resorted_total") == 1


async def test_own_labels_are_asked_for_once_a_minute(parts: Parts) -> None:
    for _ in range(3):
        await series(parts, request())
    assert parts.prometheus.paths().count("/api/v1/label/replica/values") == 1


@pytest.mark.parametrize("parts", [StoreLimits(resort_buffer=2000)], indirect=True)
async def test_an_answer_that_is_too_large_to_be_sorted_says_what_to_raise(parts: Parts) -> None:
    parts.prometheus.series = [({"replica": str(number)}, [Chunk(1, 2, bytes(900))]) for number in range(9)]
    with pytest.raises(CallError, match=r"--sidecar\.resort-buffer") as caught:
        await series(parts, request())
    assert caught.value.code is Code.RESOURCE_EXHAUSTED


async def test_labels_alone_come_from_the_series_api(parts: Parts) -> None:
    parts.prometheus.series = several({"pod": "2"}, {"pod": "1"}, {"replica": "own"})
    found = await series(parts, request(skip_chunks=True, limit=2, response_batch_size=2))
    assert found == [
        ({"__name__": "up", "job": "a", "pod": "1", **EXTERNAL}, []),
        ({"__name__": "up", "job": "a", "pod": "2", **EXTERNAL}, []),
    ]
    ((path, params),) = parts.prometheus.asked
    assert path == "/api/v1/series"
    assert params == {
        "match[]": ['{job=~"a\\"b.*"}'], "start": ["1000.000"], "end": ["10000.000"], "limit": ["2"],
    }  # fmt: skip


@pytest.mark.parametrize("parts", [StoreLimits(max_series=2)], indirect=True)
async def test_limits(parts: Parts) -> None:
    parts.prometheus.series = several(*({"pod": str(number)} for number in range(3)))
    assert len(await series(parts, request(limit=2))) == 2
    with pytest.raises(CallError, match="limit of 2 series"):
        await series(parts, request())


@pytest.mark.parametrize("parts", [MinTime(at=5_000_000)], indirect=True)
async def test_min_time(parts: Parts) -> None:
    await series(parts, request())
    assert b"\x08\xc0\x96\xb1\x02" in parts.prometheus.reads[0]
    assert await series(parts, request(max_time=4_999_999)) == []
    assert len(parts.prometheus.reads) == 1


def samples(times: Sequence[int]) -> bytes:
    return b"".join(
        field(2, b"\x09" + bytes([0, 0, 0, 0, 0, 0, 0xF0, 0x3F]) + b"\x10" + varint(each)) for each in times
    )


async def test_samples_of_an_old_prometheus_are_encoded_again(parts: Parts) -> None:
    times = [1_700_000_000_000 + 15_000 * number for number in range(300)]
    label = field(1, field(1, b"job") + field(2, b"a"))
    answer = field(1, field(1, label + samples(times)) + field(1, label))
    parts.prometheus.body = (SAMPLED, bytes(cramjam.snappy.compress_raw(answer)))
    ((labels, chunks),) = await series(parts, request())
    assert labels == {"job": "a", **EXTERNAL}
    wanted = [times[at : at + 120] for at in range(0, 300, 120)]
    assert chunks == [Chunk(each[0], each[-1], encode([(t, 1.0) for t in each])) for each in wanted]
    assert parts.metric("crossrealm_sidecar_sampled_reads_total") == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ((SAMPLED, b"\xff\xff\xff\xff\xff\xff"), "snappy"),
        ((SAMPLED, bytes(cramjam.snappy.compress_raw(b""))), "0 results"),
        ((SAMPLED, bytes(cramjam.snappy.compress_raw(b"\x0a\x05a"))), "not a ReadResponse"),
        (("text/html", b"<html>"), "content type 'text/html'"),
    ],
)
async def test_answers_that_are_none(parts: Parts, body: tuple[str, bytes], says: str) -> None:
    parts.prometheus.body = body
    with pytest.raises(CallError, match=says) as caught:
        await series(parts, request())
    assert caught.value.code is Code.INTERNAL


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, Code.INVALID_ARGUMENT), (422, Code.INTERNAL), (503, Code.UNAVAILABLE), (418, Code.INTERNAL)],
)
async def test_refusals_of_prometheus_are_passed_on(parts: Parts, status: int, code: Code) -> None:
    parts.prometheus.refusal = (status, "query processing would load too many samples")
    with pytest.raises(CallError, match=rf"answered {status} .*too many samples") as caught:
        await series(parts, request())
    assert caught.value.code is code


async def test_a_client_that_goes_away_ends_the_read(parts: Parts) -> None:
    parts.prometheus.series = [({"a": f"{at:05}"}, [Chunk(1, 2, bytes(100_000))]) for at in range(300)]

    class Leaving(FakeCall):
        async def send_framed(self, frames: object) -> None:
            self._sent_more.set()
            await anyio.sleep_forever()

    call = Leaving(request())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(parts.store.series, call)
        with anyio.fail_after(10):
            await call._sent_more.wait()
        tasks.cancel_scope.cancel()
    await parts.prometheus.until(lambda: parts.prometheus.ended_early > 0)


async def label_names(parts: Parts, **given: object) -> list[str]:
    call = FakeCall(bytes(LabelNamesRequest(start=0, end=9_000, **given)))  # type: ignore[arg-type]
    await parts.store.label_names(call)
    return list(LabelNamesResponse.parse(call.sent[0]).names)


async def label_values(parts: Parts, label: str, **given: object) -> list[str]:
    call = FakeCall(bytes(LabelValuesRequest(label=label, start=0, end=9_000, **given)))  # type: ignore[arg-type]
    await parts.store.label_values(call)
    return list(LabelValuesResponse.parse(call.sent[0]).values)


async def test_label_names(parts: Parts) -> None:
    assert await label_names(parts) == []
    parts.prometheus.series = several({"pod": "1"})
    assert await label_names(parts) == ["__name__", "job", "pod", "realm", "replica"]
    assert await label_names(parts, without_replica_labels=["replica"]) == ["__name__", "job", "pod", "realm"]
    assert await label_names(parts, limit=2) == ["__name__", "job"]
    other = LabelMatcher(type=LabelMatcherType.EQ, name="realm", value="us")
    assert await label_names(parts, matchers=[other]) == []


async def test_label_values(parts: Parts) -> None:
    assert await label_values(parts, "realm", matchers=[JOB]) == []
    parts.prometheus.series = several({"pod": "2"}, {"pod": "1"})
    assert await label_values(parts, "pod") == ["1", "2"]
    assert await label_values(parts, "pod", limit=1) == ["1"]
    assert await label_values(parts, "realm") == ["eu"]
    assert await label_values(parts, "realm", matchers=[JOB]) == ["eu"]
    assert await label_values(parts, "replica", without_replica_labels=["replica"]) == []
    with pytest.raises(CallError, match="label name"):
        await label_values(parts, "")


async def test_names_that_are_no_identifiers_are_escaped_in_paths(parts: Parts) -> None:
    await label_values(parts, "my.name_ü")
    assert parts.prometheus.paths() == ["/api/v1/label/U__my_2e_name___fc_/values"]


async def test_a_prometheus_before_matchers_on_labels_is_asked_for_series(parts: Parts) -> None:
    parts.prometheus.version = "2.20.1"
    parts.prometheus.series = several({"pod": "1"})
    await parts.heartbeat_again()
    assert await label_values(parts, "pod", matchers=[JOB]) == ["1"]
    assert await label_names(parts, matchers=[JOB]) == ["__name__", "job", "pod", "realm", "replica"]
    assert set(parts.prometheus.paths()) == {"/api/v1/series"}


@pytest.mark.parametrize(
    ("version", "supported"),
    [("2.24.0", True), ("2.42.0+ds", True), ("3.1.0", True), ("2.23.9", False), ("", False), ("x", False)],
)
def test_versions(version: str, supported: bool) -> None:
    assert supports_matchers(version) is supported


async def test_a_prometheus_that_is_gone_is_noticed_by_a_call(parts: Parts) -> None:
    parts.prometheus.refusal = (503, "shutting down")
    with pytest.raises(CallError):
        await series(parts, request())
    await parts.until(up=False)
    with pytest.raises(CallError, match="shutting down") as caught:
        await series(parts, request())
    assert caught.value.code is Code.UNAVAILABLE
    parts.prometheus.refusal = None
    await parts.until(up=True)
    assert await series(parts, request()) == []
    assert parts.changes == [True, False, True]
