"""A client process that asks for Series as often as it is told, and says how long each answer took.

For each line on stdin it makes one call and prints one JSON object: ``seconds``, ``messages``, ``bytes`` and,
with the line ``check``, ``series`` and ``digest``.

usage: python -m bench.asker {official,stock} ADDRESS --batch B [--cert F --key F --ca F]
"""

import argparse
import asyncio
import hashlib
import json
import math
import ssl
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import betterproto2

from app.pb.thanos import LabelMatcher, LabelMatcherType, SeriesRequest

METHOD = "/thanos.Store/Series"


def request(batch: int) -> bytes:
    """Everything, in batches of `batch`."""
    return bytes(
        SeriesRequest(
            min_time=0,
            max_time=10**14,
            matchers=[LabelMatcher(type=LabelMatcherType.RE, name="__name__", value=".+")],
            response_batch_size=batch,
        )
    )


def entries(message: bytes) -> Iterator[bytes]:
    """The series in a SeriesResponse."""
    for found in betterproto2.parse_fields(message):
        if found.number == 1:
            yield found.value
        elif found.number == 4:
            yield from (inner.value for inner in betterproto2.parse_fields(found.value))
        else:
            raise SystemExit(f"an answer with field {found.number}: {found.value[:300]!r}")


class Check:
    """Mutable: count and digest of the series seen; the digest does not depend on how they are batched."""

    def __init__(self) -> None:
        self.series = 0
        self._digest = hashlib.sha256()

    def add(self, message: bytes) -> None:
        for each in entries(message):
            self.series += 1
            self._digest.update(each)

    def report(self) -> dict[str, Any]:
        return {"series": self.series, "digest": self._digest.hexdigest()}


def official(address: str, batch: int, rate: float, files: Sequence[bytes]) -> None:
    """grpcio, without a serializer.

    :param rate: bytes a second that are read; infinity: as they come.
    :param files: CA, key and certificate; empty: plaintext.
    """
    import grpc

    options = [("grpc.max_receive_message_length", -1)]
    if files:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(*files), options)
    else:
        channel = grpc.insecure_channel(address, options)
    series = channel.unary_stream(METHOD)
    for line in sys.stdin:
        check = Check() if line.strip() == "check" else None
        count = size = 0
        begun = time.perf_counter()
        for message in series(request(batch), timeout=300):
            count += 1
            size += len(message)
            if check is not None:
                check.add(message)
            ahead = size / rate - (time.perf_counter() - begun)
            if ahead > 0.01:
                time.sleep(ahead)
        answer(time.perf_counter() - begun, count, size, check)


async def stock(address: str, batch: int, context: ssl.SSLContext) -> None:
    """grpclib as it comes, with a codec that leaves the bytes alone."""
    from grpclib.client import Channel, UnaryStreamMethod
    from grpclib.encoding.base import CodecBase

    class Bytes(CodecBase):
        __content_subtype__ = "proto"

        def encode(self, message: Any, message_type: Any) -> bytes:
            return bytes(message)

        def decode(self, data: bytes, message_type: Any) -> Any:
            return data

    host, _, port = address.rpartition(":")
    channel = Channel(host, int(port), ssl=context, codec=Bytes())
    method: UnaryStreamMethod[bytes, bytes] = UnaryStreamMethod(channel, METHOD, bytes, bytes)

    async def messages() -> AsyncIterator[bytes]:
        async with method.open(timeout=300) as stream:
            await stream.send_message(request(batch), end=True)
            async for message in stream:
                yield message

    for line in sys.stdin:
        check = Check() if line.strip() == "check" else None
        count = size = 0
        begun = time.perf_counter()
        async for message in messages():
            count += 1
            size += len(message)
            if check is not None:
                check.add(message)
        answer(time.perf_counter() - begun, count, size, check)
    channel.close()


def answer(seconds: float, count: int, size: int, check: Check | None) -> None:
    """Tell the one who asked."""
    report: dict[str, Any] = {"seconds": seconds, "messages": count, "bytes": size}
    if check is not None:
        report.update(check.report())
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("client", choices=["official", "stock"])
    parser.add_argument("address")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--rate", type=float, default=math.inf, help="bytes a second to read")
    for name in ("cert", "key", "ca"):
        parser.add_argument(f"--{name}", default="")
    given = parser.parse_args()
    if given.client == "stock":
        context = ssl.create_default_context(cafile=given.ca)
        context.load_cert_chain(given.cert, given.key)
        context.set_alpn_protocols(["h2"])
        asyncio.run(stock(given.address, given.batch, context))
        return
    files = []
    for name in (given.ca, given.key, given.cert) if given.cert else ():
        with open(name, "rb") as file:
            files.append(file.read())
    official(given.address, given.batch, given.rate, files)


if __name__ == "__main__":
    main()
