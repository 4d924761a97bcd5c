"""One remote read: the request, and its answer as it arrives.

Source of the format: Prometheus, prompb/remote.proto and the remote-read documentation.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import cramjam

from app.errors import CallError, Code, FailureKind
from app.fanout.wire import field, number
from app.pb.thanos import LabelMatcher
from app.sidecar.client import PrometheusClient

PATH = "/api/v1/read"
STREAMED = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
SAMPLED = "application/x-protobuf"
_STREAMED_XOR_CHUNKS, _SAMPLES = 1, 0
_HEADERS = {
    "content-encoding": "snappy",
    "content-type": "application/x-stream-protobuf",
    "x-prometheus-remote-read-version": "0.1.0",
}


def read_request(min_time: int, max_time: int, matchers: Sequence[LabelMatcher]) -> bytes:
    """A ReadRequest for one query, compressed.

    :param min_time, max_time: milliseconds since the epoch, both inclusive.
    """
    query = number(1, min_time) + number(2, max_time)
    for each in matchers:
        # The matcher's types have the same numbers here and there.
        query += field(
            3, number(1, int(each.type)) + field(2, each.name.encode()) + field(3, each.value.encode())
        )
    accepted = field(2, bytes([_STREAMED_XOR_CHUNKS, _SAMPLES]))
    return bytes(cramjam.snappy.compress_raw(field(1, query) + accepted))


class ReadAnswer:
    """Mutable: how far it was read, by the one task that makes the call.

    :ivar sampled: Prometheus is too old to stream chunks, and sends samples.
    """

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        content_type = answer.headers.get("content-type", "")
        self.sampled = content_type.startswith(SAMPLED)
        if not self.sampled and not content_type.startswith(STREAMED):
            raise CallError(
                Code.INTERNAL,
                f"Prometheus answered a remote read with content type {content_type!r};"
                " is it a Prometheus, and is nothing in between?",
                FailureKind.PROTOCOL,
            )
        self._answer = answer

    def parts(self) -> AsyncIterator[bytes]:
        """What has arrived, again and again, until the end."""
        return self._answer.content.iter_any()


@asynccontextmanager
async def remote_read(
    client: PrometheusClient, min_time: int, max_time: int, matchers: Sequence[LabelMatcher]
) -> AsyncIterator[ReadAnswer]:
    """Ask Prometheus for series. Leaving early closes the connection, which ends the query there.

    :raises CallError: it cannot be reached, or refuses; while the answer is read too.
    """
    async with client.post(PATH, read_request(min_time, max_time, matchers), _HEADERS) as answer:
        yield ReadAnswer(answer)
