"""A store on grpcio, the official server in C, that serves series made beforehand.

usage: python -m bench.official_store --index I --of N --series S --batch B --cert F --key F --ca F
"""

import argparse
import json
import struct
import sys
from collections.abc import Iterator
from concurrent import futures

import grpc

from app.fanout.wire import field
from app.pb.thanos import Label, ZLabelSet
from app.pb.thanos.info import InfoResponse, StoreInfo

SERIES_SIZE = 1200
"""Bytes of one series, labels and chunks."""


def entry(number: int, filler: bytes) -> bytes:
    """A series with its tag and length: a few labels, one chunk."""
    labels = {
        "__name__": "bench_requests_total",
        "cluster": "bench",
        "pod": f"pod-{number:08d}",
        "zone": f"zone-{number % 7}",
    }
    encoded = b"".join(
        field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels.items()
    )
    data = struct.pack(">Q", number) + filler
    chunk = field(3, field(2, data[: SERIES_SIZE - len(encoded) - 30]))
    return field(1, encoded + field(2, b"\x08\x01\x10\xe8\x07" + chunk))


def messages(index: int, of: int, series: int, batch: int) -> list[bytes]:
    """SeriesResponse messages of every `of`-th series from `index` on."""
    filler = bytes(range(256)) * 5
    entries = [entry(number * of + index, filler) for number in range(series)]
    if batch < 2:
        return entries  # a series with its tag and length is the message
    groups = (entries[start : start + batch] for start in range(0, len(entries), batch))
    return [field(4, b"".join(group)) for group in groups]


class _Store(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, answer: list[bytes], index: int, series: int) -> None:
        self._answer = answer
        self._info = bytes(
            InfoResponse(
                label_sets=[ZLabelSet(labels=[Label(name="store", value=str(index))])],
                component_type="sidecar",
                store=StoreInfo(min_time=0, max_time=10**15, supports_without_replica_labels=True),
            )
        )

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method == "/thanos.Store/Series":
            return grpc.unary_stream_rpc_method_handler(self._series)
        if details.method == "/thanos.info.Info/Info":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: self._info)
        return None

    def _series(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from self._answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("index", "of", "series", "batch"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("cert", "key", "ca"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    files = []
    for name in (given.key, given.cert, given.ca):
        with open(name, "rb") as file:
            files.append(file.read())
    key, cert, ca = files
    answer = messages(given.index, given.of, given.series, given.batch)
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[_Store(answer, given.index, given.series)])
    credentials = grpc.ssl_server_credentials([(key, cert)], ca, require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    sys.stdout.write(json.dumps([f"127.0.0.1:{port}"]) + "\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
