"""The fastest reader of a remote read: a blocking socket whose bytes are thrown away.

For each line on stdin it makes one request and prints one JSON object: ``seconds`` and ``bytes``.

usage: python -m bench.remote_reader HOST:PORT
"""

import json
import socket
import sys
import time

from app.pb.thanos import LabelMatcher, LabelMatcherType
from app.sidecar.remote_read import PATH, read_request

EVERYTHING = LabelMatcher(type=LabelMatcherType.RE, name="__name__", value=".+")


def read(address: str) -> dict[str, float]:
    """One remote read of everything."""
    host, _, port = address.rpartition(":")
    body = read_request(0, 10**14, [EVERYTHING])
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Encoding: snappy\r\n"
        "Content-Type: application/x-stream-protobuf\r\nX-Prometheus-Remote-Read-Version: 0.1.0\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    buffer = bytearray(1 << 20)
    size = 0
    begun = time.perf_counter()
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(head.encode() + body)
        while count := sock.recv_into(buffer):
            if size == 0 and not buffer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(buffer[:count].decode(errors="replace"))
            size += count
    return {"seconds": time.perf_counter() - begun, "bytes": size}


def main() -> None:
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(read(sys.argv[1])) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
