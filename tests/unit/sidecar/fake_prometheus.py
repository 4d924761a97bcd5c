"""A Prometheus of a few paths, over real HTTP on loopback, whose answers the test decides."""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import cramjam
from aiohttp import web

from app.sidecar.remote_read import STREAMED
from tests.unit.sidecar.frames import Item, frame, order_of


class FakePrometheus:
    """Mutable: what it answers, set by the test; what it was asked, read by the test.

    :ivar series: what remote reads and label calls answer with; matchers are not looked at.
    :ivar body: instead of `series`, the body of a remote read as it is, with its content type.
    :ivar refusal: status and text for every request.
    """

    def __init__(self) -> None:
        self.url = ""
        self.series: Sequence[Item] = ()
        self.body: tuple[str, bytes] | None = None
        self.refusal: tuple[int, str] | None = None
        self.config = "global:\n  external_labels:\n    realm: eu\n    replica: a\n"
        self.version = "2.42.0"
        self.lowest = "1000"
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.headers: list[dict[str, str]] = []
        self.reads: list[bytes] = []
        self.ended_early = 0
        self._happened = anyio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds`, which is asked again after each request."""
        with anyio.fail_after(10):
            while not holds():
                await self._happened.wait()

    def _tell(self) -> None:
        self._happened.set()
        self._happened = anyio.Event()

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def _own_values(self, name: str) -> list[str]:
        return sorted({labels[name] for labels, _ in self.series if name in labels})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        params = {key: request.query.getall(key) for key in request.query}
        self.asked.append((request.path, params))
        self._tell()
        self.headers.append({key.lower(): value for key, value in request.headers.items()})
        if self.refusal is not None:
            return web.Response(status=self.refusal[0], text=self.refusal[1])
        data: Any
        match request.path.split("/")[1:]:
            case ["api", "v1", "read"]:
                return await self._read(request)
            case ["metrics"]:
                return web.Response(text=f"prometheus_tsdb_lowest_timestamp_seconds {self.lowest}\n")
            case ["api", "v1", "status", "config"]:
                data = {"yaml": self.config}
            case ["api", "v1", "status", "buildinfo"]:
                data = {"version": self.version}
            case ["api", "v1", "labels"]:
                data = sorted({name for labels, _ in self.series for name in labels})
            case ["api", "v1", "label", name, "values"]:
                data = self._own_values(name)
            case ["api", "v1", "series"]:
                data = [dict(labels) for labels, _ in self.series]
            case _:
                return web.Response(status=404, text="page not found")
        return web.json_response({"status": "success", "data": data})

    async def _read(self, request: web.Request) -> web.StreamResponse:
        self.reads.append(bytes(cramjam.snappy.decompress_raw(await request.read())))
        if self.body is not None:
            return web.Response(body=self.body[1], headers={"content-type": self.body[0]})
        answer = web.StreamResponse(headers={"content-type": STREAMED})
        await answer.prepare(request)
        try:
            for labels, chunks in sorted(self.series, key=lambda each: order_of(each[0])):
                await answer.write(frame(labels, chunks))
            await answer.write_eof()
        except (ConnectionError, OSError):
            self.ended_early += 1
            self._tell()
        return answer


@asynccontextmanager
async def fake_prometheus(context: ssl.SSLContext | None = None) -> AsyncIterator[FakePrometheus]:
    """One that runs until the scope is left.

    :param context: for HTTPS; None is plain.
    """
    fake = FakePrometheus()
    server = web.Server(fake.answer)  # type: ignore[arg-type]
    runner = web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        port = runner.addresses[0][1]
        fake.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"
        yield fake
    finally:
        await runner.cleanup()
