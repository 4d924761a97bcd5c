"""The services of a synthetic store, called without a network."""

from collections.abc import Sequence

import anyio
import pytest

from app.demo import wire
from app.demo.dataset import Dataset, Shape
from app.demo.store_options import Faults
from app.demo.synthetic import SyntheticStore
from app.errors import CallError, Code
from app.pb.thanos import LabelNamesRequest, LabelNamesResponse, SeriesRequest, SeriesResponse
from app.pb.thanos.info import InfoRequest, InfoResponse
from app.rpc.model import Metadata, Peer

pytestmark = pytest.mark.anyio

STORE = Dataset("eu", "a", Shape(series=16))


class PlayedCall:
    """Mutable: the request until received, and what was sent."""

    method = "/thanos.Store/Any"
    peer = Peer(address="", tls=None)
    remaining = None

    def __init__(self, request: bytes) -> None:
        self.metadata: Metadata = {}
        self._request: bytes | None = request
        self.sent: list[bytes] = []

    async def receive(self) -> bytes | None:
        request, self._request = self._request, None
        return request

    async def send(self, message: bytes) -> None:
        self.sent.append(message)

    async def send_framed(self, frames: Sequence[bytes | bytearray | memoryview]) -> None:
        self.sent += wire.unframed(b"".join(frames))


def _request(**more: object) -> bytes:
    everything = {"min_time": STORE.min_time, "max_time": STORE.max_time, "response_batch_size": 5}
    return bytes(SeriesRequest(**{**everything, **more}))  # type: ignore[arg-type]


async def _series(faults: Faults, request: bytes) -> list[bytes]:
    call = PlayedCall(request)
    await SyntheticStore(STORE, faults).series(call)
    return call.sent


def _labels(messages: Sequence[bytes]) -> list[list[str]]:
    found = []
    for message in messages:
        response = SeriesResponse.parse(message)
        batch = response.batch.series if response.batch else [response.series]
        found += [[label.value for label in series.labels] for series in batch if series]
    return found


async def test_batches_have_the_size_that_was_asked_for() -> None:
    sent = await _series(Faults(), _request())
    assert [len(SeriesResponse.parse(message).batch.series) for message in sent] == [5, 5, 5, 1]  # type: ignore[union-attr]
    assert _labels(sent) == [[value for _, value in series.labels] for series in STORE.series]


async def test_a_remembered_answer_is_the_same() -> None:
    store = SyntheticStore(STORE, Faults())
    first, second = PlayedCall(_request()), PlayedCall(_request())
    await store.series(first)
    await store.series(second)
    assert first.sent == second.sent != []


async def test_one_a_message_and_the_wrong_order() -> None:
    in_order = _labels(await _series(Faults(one_per_message=True), _request()))
    assert len(await _series(Faults(one_per_message=True), _request())) == 16
    assert _labels(await _series(Faults(reversed_order=True), _request())) == in_order[::-1]


async def test_replica_labels_that_are_kept_are_announced_as_kept() -> None:
    for faults, supported in ((Faults(), True), (Faults(keep_replica_labels=True), False)):
        info = PlayedCall(bytes(InfoRequest()))
        await SyntheticStore(STORE, faults).info(info)
        answer = InfoResponse.parse(info.sent[0])
        assert answer.store is not None
        assert answer.store.supports_without_replica_labels is supported
        assert [label.value for label in answer.label_sets[0].labels] == ["eu", "a"]
        found = _labels(await _series(faults, _request(without_replica_labels=["replica"])))
        assert all(("a" in values) is not supported for values in found)


async def test_failing_is_a_status_without_an_answer() -> None:
    call = PlayedCall(bytes(LabelNamesRequest()))
    with pytest.raises(CallError) as caught:
        await SyntheticStore(STORE, Faults(fail="UNAVAILABLE")).label_names(call)
    assert caught.value.code is Code.UNAVAILABLE
    assert call.sent == []


async def test_garbage_cannot_be_read() -> None:
    sent = await _series(Faults(garbage=True), _request())
    with pytest.raises(ValueError, match="varint"):
        list(wire.fields(sent[0]))


async def test_a_stall_lasts_until_the_client_goes_away() -> None:
    call = PlayedCall(_request())
    with anyio.move_on_after(0.05) as patience:
        await SyntheticStore(STORE, Faults(stall_after=2)).series(call)
    assert patience.cancelled_caught
    assert len(call.sent) == 2


async def test_a_delay_comes_before_the_answer_not_before_info() -> None:
    slow = SyntheticStore(STORE, Faults(delay=30))
    call = PlayedCall(_request())
    with anyio.move_on_after(0.05):
        await slow.series(call)
    assert call.sent == []
    info = PlayedCall(bytes(InfoRequest()))
    await slow.info(info)
    assert info.sent != []


async def test_names() -> None:
    call = PlayedCall(bytes(LabelNamesRequest(limit=2)))
    await SyntheticStore(STORE, Faults()).label_names(call)
    assert LabelNamesResponse.parse(call.sent[0]).names == ["__name__", "handler"]


async def test_bytes_that_are_no_request() -> None:
    with pytest.raises(CallError) as caught:
        await _series(Faults(), b"\x0a")
    assert caught.value.code is Code.INVALID_ARGUMENT
